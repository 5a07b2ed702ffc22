"""The `date` filter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from prefactor_server.validation.liquid.sandbox import to_text

_MAX_LAYOUT: Final = 100
_LONGEST_DATE: Final = 40

# No widths, because `%1000000000d` is a gigabyte. No zone names or localised formats, because a
# summary must not depend on the machine that renders it.
_DIRECTIVE: Final = re.compile(r"%(-?)([aAbBdeFHIjklLmMpPsSTuyYz%])")

# Directives on which C libraries differ.
_OWN: Final[Mapping[str, Callable[[datetime], str]]] = {
    "%": lambda _: "%",
    "s": lambda time: str(int(time.timestamp())),
    "L": lambda time: f"{time.microsecond // 1000:03}",
    "P": lambda time: time.strftime("%p").lower(),
    "k": lambda time: f"{time.hour:2}",
    "l": lambda time: f"{time.hour % 12 or 12:2}",
    "e": lambda time: f"{time.day:2}",
    "Y": lambda time: f"{time.year:04}",
    "F": lambda time: time.date().isoformat(),
    "T": lambda time: f"{time:%H:%M:%S}",
}


def date(value: object, layout: object) -> str:
    """Format a time with a `strftime` layout, in its own time zone or else in UTC.

    ISO 8601 strings and seconds since 1970 are times. Any other value is returned unchanged, even
    "now", so that a summary does not depend on when it is rendered. A layout that is too long also
    leaves the value unchanged, and unknown directives are copied.

    Raises:
        ValueError, OverflowError: the number is not a time in the years 1 to 9999.
    """
    time, pattern = _time(value), to_text(layout)
    if time is None or len(pattern) > _MAX_LAYOUT:
        return to_text(value)
    return _DIRECTIVE.sub(lambda match: _formatted(time, match[2], match[1]), pattern)


def _time(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except OSError as error:
            # The C library's error for years that it cannot represent.
            raise ValueError("not a time") from error
    if not isinstance(value, str) or len(value) > _LONGEST_DATE:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _formatted(time: datetime, letter: str, unpadded: str) -> str:
    text = _OWN[letter](time) if letter in _OWN else time.strftime(f"%{letter}")
    return (text.lstrip("0 ") or "0") if unpadded else text
