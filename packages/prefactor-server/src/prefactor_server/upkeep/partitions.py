"""Creates the partitions of a database ahead of time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from prefactor_server.domain.errors import Refusal
from prefactor_server.storage.maintenance import Maintenance

_log = structlog.get_logger("prefactor_server")

_LOOK_EVERY_SECONDS: Final = 3600.0
_FIRST_RETRY_SECONDS: Final = 60.0


async def make_partitions(
    maintenance: Maintenance, now_us: Callable[[], int], *, days: int
) -> None:
    """Create partitions of ``days`` days ahead of time, at once and every hour, until cancelled.

    A failure is not urgent, because every row has a partition. It is retried at growing intervals.
    """
    retry = _FIRST_RETRY_SECONDS
    while True:
        try:
            made = await maintenance.extend_partitions(now_us(), days)
        except Refusal as error:
            _log.warning("partitions_not_made", reason=error.message, retry_seconds=retry)
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LOOK_EVERY_SECONDS)
        else:
            if made:
                _log.info("partitions_made", partitions=list(made))
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            retry = _FIRST_RETRY_SECONDS
