"""Formats and parses times for people."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def took(started_at: datetime | None, finished_at: datetime | None) -> str:
    """Format a duration, or return an empty text if it has not ended."""
    if started_at is None or finished_at is None:
        return ""
    seconds = max(finished_at - started_at, timedelta()).total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        minutes, rest = divmod(int(seconds), _MINUTE)
        return f"{minutes} min {rest} s"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a time was, in the largest fitting unit."""
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    if seconds < 1:
        return "now"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def moment(time: datetime | None) -> str:
    """Return a time in the local zone, with its offset."""
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|min|m|h|d|w)")
_UNITS: Final = {
    "ms": 0.001,
    "s": 1,
    "m": _MINUTE,
    "min": _MINUTE,
    "h": _HOUR,
    "d": _DAY,
    "w": 7 * _DAY,
}


def read_seconds(text: str) -> float:
    """Parse a duration such as `90s`, `1h30m` or `2.5`, which is in seconds.

    Raises:
        ValueError: The text is not a duration.
    """
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    parts = _SPAN.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        message = f"{text!r} is not a duration: give seconds, or numbers with ms, s, m, h, d or w"
        raise ValueError(message)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def read_moment(text: str, now: datetime) -> datetime:
    """Parse a point in time: a duration ago (`2h`, `3d`), `today`, or a date or time in ISO 8601.

    A time without an offset is in the local zone.

    Raises:
        ValueError: The text is not a point in time.
    """
    local = now.astimezone()
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if text == "now":
            return now
        if text == "today":
            return midnight.astimezone(UTC)
        if text == "yesterday":
            return (midnight - timedelta(days=1)).astimezone(UTC)
        if _SPAN.match(text) and not re.match(r"[0-9]{4}-", text):
            return now - timedelta(seconds=read_seconds(text))
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        message = (
            f"{text!r} is not a time: give how long ago (30m, 2h, 3d), today, yesterday, "
            "or a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z"
        )
        raise ValueError(message) from None
