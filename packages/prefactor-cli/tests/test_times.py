"""Times as people write them on the command line, and as it prints them."""

from datetime import UTC, datetime, timedelta

import pytest

from prefactor_cli.times import ago, read_moment, read_seconds, took

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("2.5", 2.5), ("500ms", 0.5), ("5m", 300), ("5min", 300), ("1h30m", 5400)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """A bare number is seconds; numbers with units add up."""
    assert read_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-3", "5 m", "3x", "m5", "1h30", "1e3", "٣"])
def test_an_invalid_duration_is_rejected(text: str) -> None:
    """A value that is not a duration is rejected, and the message shows the accepted form."""
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
def test_a_time_is_read(text: str, moment: datetime) -> None:
    """A time is a duration ago, or a timestamp with its offset."""
    assert read_moment(text, NOW) == moment


def test_a_time_without_an_offset_is_local() -> None:
    """A date means its midnight in the local zone, and so do `today` and `yesterday`."""
    midnight = NOW.astimezone().replace(hour=0, minute=0)

    assert read_moment("today", NOW) == midnight
    assert read_moment("yesterday", NOW) == midnight - timedelta(days=1)
    assert read_moment(f"{midnight:%Y-%m-%d}", NOW) == midnight


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "9999999999w", "99:00"])
def test_an_invalid_time_is_rejected(text: str) -> None:
    """The message shows each way to write a time."""
    with pytest.raises(ValueError, match="is not a time: give how long ago"):
        read_moment(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "now"), (7, "7 s ago"), (90, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_ages_are_shown_in_one_unit(seconds: int, said: str) -> None:
    """An age is shown in its largest unit, and a time in the future counts as now."""
    assert ago(NOW - timedelta(seconds=seconds), NOW) == said


def test_a_duration_has_at_most_59_seconds() -> None:
    """A fraction below a minute is not rounded up to 60 seconds."""
    assert took(NOW, NOW + timedelta(seconds=119.7)) == "1 min 59 s"
