"""How long a test waits for an event that comes at once unless the product hangs."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")

SPARE = 2.0


def patience(seconds: float) -> float:
    """Return a limit that fits the current load of the machine.

    It is twice the limit of an idle machine, and longer in proportion to the number of processes
    that want to run per core. No test passes or fails by its speed.
    """
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * SPARE * max(1.0, waiting)


async def eventually(read: Callable[[], Awaitable[_T]], accepts: Callable[[_T], bool]) -> _T:
    """Read a value that changes in the background, until it is accepted; return it."""
    deadline = time.monotonic() + patience(30)
    while not accepts(value := await read()):
        assert time.monotonic() < deadline, value
        await asyncio.sleep(0.02)
    return value
