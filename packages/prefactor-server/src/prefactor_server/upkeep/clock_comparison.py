"""Compares the machine's clock with the database's, every half minute."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from prefactor_server.background import repeat
from prefactor_server.storage.clock import SharedClock

_COMPARE_SECONDS: Final = 30.0


async def follow_clock(clock: SharedClock, database_us: Callable[[], Awaitable[int]]) -> None:
    """Compare the clocks every 30 seconds, until cancelled.

    The first time is after 30 seconds, because the server has compared them at its start.
    """

    async def step() -> float:
        await clock.compare(database_us)
        return _COMPARE_SECONDS

    await asyncio.sleep(_COMPARE_SECONDS)
    await repeat(step, task="clock", max_retry_seconds=_COMPARE_SECONDS)
