"""Times as people write them on the command line, and as it prints them."""

from datetime import UTC, datetime, timedelta

import pytest

from prefactor_cli.times import ago, read_moment, read_seconds

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("2.5", 2.5), ("500ms", 0.5), ("5m", 300), ("5min", 300), ("1h30m", 5400)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """A bare number is seconds; numbers with units add up."""
    assert read_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-3", "5 m", "3x", "m5", "1h30", "1e3", "٣"])
def test_what_is_no_duration_is_rejected(text: str) -> None:
    """A value that is not a duration is refused with the accepted form."""
    with pytest.raises(ValueError, match="is not a duration: give seconds"):
        read_seconds(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("30m", NOW - timedelta(minutes=30)),
        ("1d12h", NOW - timedelta(hours=36)),
        ("2w", NOW - timedelta(days=14)),
        ("2026-02-28T10:00:00Z", NOW - timedelta(hours=26)),
        ("2026-02-28T11:00+01:00", NOW - timedelta(hours=26)),
    ],
)
def test_a_moment_is_read(text: str, moment: datetime) -> None:
    """A time is a duration ago, or a time with its offset."""
    assert read_moment(text, NOW) == moment


def test_a_moment_without_an_offset_is_local() -> None:
    """A date is its midnight in the local zone, as `today` and `yesterday` are."""
    midnight = NOW.astimezone().replace(hour=0, minute=0)

    assert read_moment("today", NOW) == midnight
    assert read_moment("yesterday", NOW) == midnight - timedelta(days=1)
    assert read_moment(f"{midnight:%Y-%m-%d}", NOW) == midnight


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "9999999999w", "99:00"])
def test_what_is_no_moment_is_rejected(text: str) -> None:
    """The message shows each way to write one."""
    with pytest.raises(ValueError, match="is not a time: give how long ago"):
        read_moment(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "now"), (7, "7 s ago"), (90, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_how_long_ago(seconds: int, said: str) -> None:
    """The largest unit is enough, and clocks that disagree count as now."""
    assert ago(NOW - timedelta(seconds=seconds), NOW) == said
