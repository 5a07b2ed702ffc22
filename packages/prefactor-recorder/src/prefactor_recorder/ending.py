"""The end of the program: what every recorder still has is delivered, within one deadline."""

from __future__ import annotations

import atexit
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefactor_recorder.runtime import Parts

# The parts, and not their recorder: a function that makes one, records and returns drops the
# recorder long before the program ends, and what it recorded has to be delivered all the same.
_open: dict[Parts, float] = {}


def close_at_exit(parts: Parts, timeout: float) -> None:
    """Have parts closed at the end of the program, within so many seconds."""
    if not _open:
        # Again each time that there is a first one: registering twice is closing twice.
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open[parts] = timeout


def is_closed(parts: Parts) -> None:
    """These need not be closed any more."""
    _open.pop(parts, None)


def _close_all() -> None:
    """All at the same time: servers that hang must not be waited for one after the other."""
    began = time.monotonic()
    waiting = list(_open.items())
    for parts, _ in waiting:
        parts.delivery.hurry()
    for parts, timeout in waiting:
        is_closed(parts)
        parts.close(max(began + timeout - time.monotonic(), 0))
