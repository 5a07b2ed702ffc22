"""The time that a server uses: that of its machine, unless its database's clock differs.

Servers on one database compare times that they have stored: leases, heartbeats, expiry, retention.
They must therefore agree on the time, although their machines may not.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from prefactor_server.domain.times import SECOND_US

_TOLERATED_US: Final = 2 * SECOND_US

_log = structlog.get_logger("prefactor_server")


def now_us() -> int:
    """Return the machine's time in microseconds since 1970."""
    return time.time_ns() // 1000


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000


class SharedClock:
    """Returns the time in microseconds since 1970, within seconds of the database's clock."""

    def __init__(
        self,
        machine_us: Callable[[], int] = now_us,
        monotonic_us: Callable[[], int] = _monotonic_us,
    ) -> None:
        self._machine_us = machine_us
        # A machine's clock that is wrong will be set, so the correction does not depend on it.
        self._monotonic_us = monotonic_us
        self._offset: int | None = None

    def __call__(self) -> int:
        """Return the time."""
        if self._offset is None:
            return self._machine_us()
        return self._monotonic_us() + self._offset

    async def compare(self, database_us: Callable[[], Awaitable[int]]) -> None:
        """Compare the machine's clock with the database's, and use the latter if they differ.

        Raises:
            Unavailable: the database cannot be reached.
        """
        before, begun = self._machine_us(), self._monotonic_us()
        theirs = await database_us()
        duration = self._monotonic_us() - begun
        had_offset = self._offset is not None
        if before - _TOLERATED_US <= theirs <= before + duration + _TOLERATED_US:
            self._offset = None
            if had_offset:
                _log.info("clock_agrees_with_database")
            return
        self._offset = theirs - begun - duration // 2
        if not had_offset:
            _log.warning(
                "clock_differs_from_database",
                seconds=round((before + duration // 2 - theirs) / SECOND_US),
                help="The database's time is used. Set the clock of this machine, or the other",
            )
