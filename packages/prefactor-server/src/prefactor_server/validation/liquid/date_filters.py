"""The `date` filter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from prefactor_server.validation.liquid.sandbox import to_text

_MAX_LAYOUT: Final = 100
_LONGEST_DATE: Final = 40

# No widths: `%1000000000d` is a gigabyte. No zone names or localised formats, because a summary
# must not depend on the machine that renders it.
_DIRECTIVE: Final = re.compile(r"%(-?)([aAbBdeFHIjklLmMpPsSTuyYz%])")

# Directives on which C libraries differ.
_OWN: Final[Mapping[str, Callable[[datetime], str]]] = {
    "%": lambda _: "%",
    "s": lambda moment: str(int(moment.timestamp())),
    "L": lambda moment: f"{moment.microsecond // 1000:03}",
    "P": lambda moment: moment.strftime("%p").lower(),
    "k": lambda moment: f"{moment.hour:2}",
    "l": lambda moment: f"{moment.hour % 12 or 12:2}",
    "e": lambda moment: f"{moment.day:2}",
    "Y": lambda moment: f"{moment.year:04}",
    "F": lambda moment: moment.date().isoformat(),
    "T": lambda moment: f"{moment:%H:%M:%S}",
}


def date(value: object, layout: object) -> str:
    """Format a point in time with a `strftime` layout, in its own zone or else in UTC.

    Accepts ISO 8601 strings and seconds since 1970. Any other value is returned unchanged, "now"
    included, so that a summary does not depend on when it is rendered. A layout that is too long
    also leaves the value unchanged, and unknown directives are copied.
    """
    moment, wanted = _moment(value), to_text(layout)
    if moment is None or len(wanted) > _MAX_LAYOUT:
        return to_text(value)
    return _DIRECTIVE.sub(lambda match: _written(moment, match[2], match[1]), wanted)


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if not isinstance(value, str) or len(value) > _LONGEST_DATE:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _written(moment: datetime, letter: str, unpadded: str) -> str:
    written = _OWN[letter](moment) if letter in _OWN else moment.strftime(f"%{letter}")
    return (written.lstrip("0 ") or "0") if unpadded else written
