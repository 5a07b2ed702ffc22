"""Timestamps: integers of microseconds since 1970 in UTC, and ISO 8601 text on the wire.

Integers can be compared, subtracted and stored in the same way in every database.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

MILLISECOND_US: Final = 1_000
SECOND_US: Final = 1_000 * MILLISECOND_US
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
MAX_TIME_US: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND

# `datetime.fromisoformat` accepts any separator and a trailing NUL, and differs between versions of
# Python. It is only used to check the calendar.
_CLOCK: Final = r"\d\d(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?"
_TIMESTAMP: Final = re.compile(
    rf"(?:\d{{4}}-?\d\d-?\d\d|\d{{4}}-?W\d\d(?:-?\d)?)(?:[T ]{_CLOCK}(?:Z|[+-]{_CLOCK})?)?",
    re.ASCII,
)


def parse_time(text: str) -> int:
    """Parse an ISO 8601 timestamp to microseconds. Without an offset it is UTC.

    Raises:
        ValueError: the text is not an ISO 8601 timestamp of the years 1 to 9999.
    """
    if _TIMESTAMP.fullmatch(text) is None:
        raise ValueError("must be an ISO 8601 timestamp")
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    us = (parsed - _EPOCH) // _MICROSECOND
    if not _FIRST <= us <= MAX_TIME_US:
        # An offset can move the first and last days outside the calendar, where they cannot be
        # shown.
        raise ValueError("must be in the years 1 to 9999, in UTC")
    return us


def format_time(us: int) -> str:
    """Format as ISO 8601 in UTC, always with six decimal places and a Z."""
    seconds, fraction = divmod(us, SECOND_US)
    return f"{_format_second(seconds)}.{fraction:06d}Z"


# Most times to format share their second with others.
@lru_cache(maxsize=1024)
def _format_second(seconds: int) -> str:
    at = _EPOCH + timedelta(seconds=seconds)
    return at.isoformat(timespec="seconds")[:-6]
