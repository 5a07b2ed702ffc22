"""Pauses between the slices of a long deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

# Leave four fifths of the time to other writers, which share the disk.
_PAUSE_PER_WORK: Final = 4.0
_MAX_PAUSE_SECONDS: Final = 5.0


async def paced(work: Awaitable[T]) -> T:
    """Do some work, and then pause for longer than it took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    done = await work
    pause = _PAUSE_PER_WORK * (loop.time() - begun)
    await asyncio.sleep(min(pause, _MAX_PAUSE_SECONDS))
    return done
