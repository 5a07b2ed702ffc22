"""Time buckets, and which ranges can be requested."""

import pytest

from prefactor_server.domain.errors import ValidationFailed
from prefactor_server.domain.series.bucket import (
    BY_NAME,
    DAY,
    HOUR,
    MAX_BUCKETS,
    MINUTE,
    read_range,
)
from prefactor_server.domain.times import format_time, parse_time

NOW = parse_time("2026-05-04T10:20:30Z")


@pytest.mark.parametrize(
    ("bucket", "asked", "first", "last", "number"),
    [
        ("hour", (None, None), "2026-04-27T11:00", "2026-05-04T10:00", 168),
        ("minute", (None, None), "2026-05-04T07:21", "2026-05-04T10:20", 180),
        ("day", (None, None), "2026-02-04T00:00", "2026-05-04T00:00", 90),
        (
            "hour",
            ("2026-05-04T08:59:59", "2026-05-04T10:00"),
            "2026-05-04T08:00",
            "2026-05-04T09:00",
            2,
        ),
        ("day", ("2026-05-03", "2026-05-04"), "2026-05-03T00:00", "2026-05-03T00:00", 1),
        (
            "day",
            ("1970-01-01T12:00", "1970-01-02T12:00"),
            "1970-01-01T00:00",
            "1970-01-02T00:00",
            2,
        ),
    ],
)
def test_a_range_is_made_of_whole_buckets(
    bucket: str, asked: tuple[str | None, str | None], first: str, last: str, number: int
) -> None:
    """The first bucket contains the start, and the last one contains the moment before the end."""
    start, end = (None if text is None else parse_time(text) for text in asked)
    starts = read_range(BY_NAME[bucket], start, end, NOW).starts

    assert len(starts) == number
    assert format_time(starts[0]).startswith(first)
    assert format_time(starts[-1]).startswith(last)


@pytest.mark.parametrize(
    ("bucket", "start", "words"),
    [
        (DAY, "2026-05-05T00:00", "must be before end_time"),
        (DAY, "2020-01-01T00:00", f"at most {MAX_BUCKETS} buckets"),
        (MINUTE, "2026-05-02T00:00", f"at most {MAX_BUCKETS} buckets"),
        (HOUR, "1970-01-01T00:00", f"at most {MAX_BUCKETS} buckets"),
        (HOUR, "0001-01-01T00:00", "must be 1970-01-01"),
    ],
)
def test_a_range_is_bounded(bucket: object, start: str, words: str) -> None:
    """An empty range, and one with too many buckets, are refused with the reason."""
    with pytest.raises(ValidationFailed) as refused:
        read_range(bucket, parse_time(start), None, NOW)  # type: ignore[arg-type]

    assert words in str(refused.value.errors)


@pytest.mark.parametrize(
    ("bucket", "kept"), [(MINUTE, "2026-04-27T10:20"), (HOUR, "2026-02-03T10:00")]
)
def test_deleted_buckets_are_refused(bucket: object, kept: str) -> None:
    """Deleted buckets would look empty, so the message names the first that still exists."""
    first = parse_time(kept)
    with pytest.raises(ValidationFailed) as refused:
        read_range(bucket, first - 1, first + 10**9, NOW)  # type: ignore[arg-type]

    assert kept in str(refused.value.errors)
    assert read_range(bucket, first, first + 10**9, NOW).start == first  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["0001-01-01T00:00", "9999-12-31T23:59:59.999999"])
def test_the_ends_of_the_calendar_are_refused(end: str) -> None:
    """A range outside the calendar is refused, and does not fail."""
    with pytest.raises(ValidationFailed):
        read_range(DAY, None, parse_time(end), NOW)
