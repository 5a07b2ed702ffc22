"""Creates the partitions of a database ahead of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from prefactor_server.background import repeat
from prefactor_server.storage.maintenance import Maintenance

_log = structlog.get_logger("prefactor_server")

_LOOK_EVERY_SECONDS: Final = 3600.0
_FIRST_RETRY_SECONDS: Final = 60.0


async def make_partitions(
    maintenance: Maintenance, now_us: Callable[[], int], *, days: int
) -> None:
    """Create partitions of ``days`` days ahead of time, at once and every hour, until cancelled.

    A failure is not urgent, because every row has a partition, and an attempt may delay writes.
    """

    async def step() -> float:
        if made := await maintenance.extend_partitions(now_us(), days):
            _log.info("partitions_made", partitions=list(made))
        return _LOOK_EVERY_SECONDS

    await repeat(
        step,
        task="partitions",
        retry_seconds=_FIRST_RETRY_SECONDS,
        max_retry_seconds=_LOOK_EVERY_SECONDS,
    )
