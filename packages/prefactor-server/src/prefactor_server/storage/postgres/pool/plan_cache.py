"""Decides when a connection discards its cached query plans.

A connection caches the plan of every statement, because planning a batch costs more than executing
it. A plan that was made while a table was empty may use a bad index, and would keep it while the
table grows. PostgreSQL itself replans after gathering statistics, which takes a minute or more.
That is too late for a server that starts to record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prefactor_server.storage.postgres.driver import Connection

MAX_PLAN_SECONDS: Final = 10.0
"""How long plans are kept at most, because other servers fill the tables too."""


class PlanRenewal:
    """Tracks which connections of a pool have to discard their plans.

    Plans are discarded each time the number of uses has doubled, so they were made for tables of at
    least half the present size.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: dict[int, int] = {}
        self._next: dict[int, tuple[int, float]] = {}

    async def begin(self, connection: Connection) -> None:
        """Register a new connection."""
        self.forget(connection.get_server_pid())

    async def before_use(self, connection: Connection) -> None:
        """Discard the plans of a connection, if they are due."""
        if self.is_due(connection.get_server_pid()):
            await connection.execute("DISCARD PLANS")

    def forget(self, pid: int) -> None:
        """Forget a connection, by its server process."""
        self._uses.pop(pid, None)
        self._next.pop(pid, None)

    def is_due(self, pid: int) -> bool:
        """Count a use; return whether the plans are due to be discarded."""
        uses, now = self._uses.get(pid, 0), self._clock()
        self._uses[pid] = uses + 1
        at_use, at_time = self._next.get(pid, (1, now + MAX_PLAN_SECONDS))
        if uses < at_use and now < at_time:
            self._next[pid] = (at_use, at_time)
            return False
        self._next[pid] = (max(2 * uses, 1), now + MAX_PLAN_SECONDS)
        return True
