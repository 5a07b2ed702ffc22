"""Timestamps: integers of microseconds since 1970 in UTC inside, ISO 8601 text on the wire.

Integers compare, subtract and store as they are, in every database alike.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def parse_time(text: str) -> int:
    """Microseconds of an ISO 8601 timestamp; one without an offset is taken as UTC.

    Raises:
        ValueError: the text is not an ISO 8601 timestamp of the years 1 to 9999.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    us = (moment - _EPOCH) // _MICROSECOND
    if not _FIRST <= us <= _LAST:
        # An offset can push the ends of the calendar out of it, and then it could not be shown.
        raise ValueError("a timestamp must lie in the years 1 to 9999, in UTC")
    return us


def format_time(us: int) -> str:
    """ISO 8601 in UTC, always with six digits of microseconds and a Z."""
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"
