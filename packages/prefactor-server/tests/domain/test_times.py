"""Parsing and formatting of timestamps."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.times import format_time, parse_time

FIRST = parse_time("0001-01-01T00:00:00Z")
LAST = parse_time("9999-12-31T23:59:59.999999Z")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2024-05-01T12:30:00Z", "2024-05-01T12:30:00.000000Z"),
        ("2024-05-01T12:30:00+00:00", "2024-05-01T12:30:00.000000Z"),
        ("2024-05-01T12:30:00", "2024-05-01T12:30:00.000000Z"),
        ("2024-05-01 12:30:00.5", "2024-05-01T12:30:00.500000Z"),
        ("2024-05-01T12:30:00.123456+02:00", "2024-05-01T10:30:00.123456Z"),
        ("2024-05-01T00:30:00-09:30", "2024-05-01T10:00:00.000000Z"),
        ("2024-05-01T12:30:00.123456789Z", "2024-05-01T12:30:00.123456Z"),
        ("20240501T123000Z", "2024-05-01T12:30:00.000000Z"),
        ("2024-05-01", "2024-05-01T00:00:00.000000Z"),
        ("2024-W18-3T12:30Z", "2024-05-01T12:30:00.000000Z"),
        ("2024-05-01T12:30:00,5+02", "2024-05-01T10:30:00.500000Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_forms_of_a_timestamp(text: str, shown: str) -> None:
    """Offsets are converted to UTC, a missing one means UTC, and output has six digits."""
    assert format_time(parse_time(text)) == shown


def test_the_epoch_is_zero() -> None:
    """Timestamps are microseconds since 1970, before it negative."""
    assert parse_time("1970-01-01T00:00:00Z") == 0
    assert parse_time("1969-12-31T23:59:59.999999Z") == -1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1714566600",
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-05-01T25:00:00Z",
        "2024-05-01T12:30:00Z junk",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59.999999-00:01",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2024-05-01T12:30:00\ud800",
        "2024-05-01T12:30:00\0",
        "2024-05-01T12:30:00Z\0",
        "2024-05-01T12:30:00+01:00\0",
        "2024-05-01T12:30:00\n",
        "\n2024-05-01T12:30:00",
        " 2024-05-01T12:30:00",
        "2024-05-01T12:30:00 ",
        "2024-05-01\n12:30:00",
        "2024-05-01\x0012:30:00",
        "2024-05-01X12:30:00",
        "2024-05-01T12:30:00 Z",
        "2024-05-01T12:30:00 01:00",
        "\uff12024-05-01T12:30:00",
        "2024-05-01T12:30:0٣",
        "2024-05-01T12:30:00.٣",
        "+2024-05-01T12:30:00",
        "2024-05-01T12:3_:00",
    ],
)
def test_invalid_timestamps(text: str) -> None:
    """A text that is not a time of the years 1 to 9999 in UTC raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


@given(st.text(st.sampled_from("0123456789-:TZ+.W \ud800é"), max_size=40) | st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Any text is a valid time or raises ValueError, and nothing else."""
    try:
        us = parse_time(text)
    except ValueError:
        return

    assert parse_time(format_time(us)) == us


@given(st.integers(FIRST, LAST))
def test_a_time_reads_back_equal(us: int) -> None:
    """A formatted time reads back to the same microsecond, always in the same form."""
    text = format_time(us)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert parse_time(text) == us


@given(st.datetimes(timezones=st.timezones()))
def test_offsets_are_converted_to_utc(moment: datetime) -> None:
    """A timestamp with any zone's offset is the same moment in UTC."""
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        return

    assert format_time(parse_time(moment.isoformat())) == (
        expected.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    )


@given(st.integers(FIRST, LAST), st.integers(FIRST, LAST))
def test_shown_times_sort_like_times(one: int, two: int) -> None:
    """The texts of timestamps sort as the timestamps do."""
    assert (format_time(one) < format_time(two)) == (one < two)
