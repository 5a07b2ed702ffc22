"""When a connection makes its plans anew.

A connection keeps the plan of every statement, because planning a batch's would cost more than
carrying it out. The plan that was made while a table was empty took one index for as good as
another, and would stay with its choice while the table fills. PostgreSQL itself reconsiders once it
has gathered statistics, a minute later at best; a server that begins to record cannot wait so long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prefactor_server.storage.postgres.driver import Connection

MAX_PLAN_SECONDS: Final = 10.0
"""For how many seconds plans are kept: other servers fill the tables too."""


class PlanRenewal:
    """Which of a pool's connections have to plan anew.

    Plans last as long as the connection was used before them: whatever one connection writes, they
    were made for a table of half its present size at least.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: dict[int, int] = {}
        self._next: dict[int, tuple[int, float]] = {}

    async def begin(self, connection: Connection) -> None:
        """Take note of a new connection."""
        self.forget(connection.get_server_pid())

    async def before_use(self, connection: Connection) -> None:
        """Throw the plans of a connection away, if it is time."""
        if self.is_due(connection.get_server_pid()):
            await connection.execute("DISCARD PLANS")

    def forget(self, pid: int) -> None:
        """Know nothing of a connection, by its process in the server."""
        self._uses.pop(pid, None)
        self._next.pop(pid, None)

    def is_due(self, pid: int) -> bool:
        """Count a use; whether plans have to be made anew for it."""
        uses, now = self._uses.get(pid, 0), self._clock()
        self._uses[pid] = uses + 1
        at_use, at_time = self._next.get(pid, (1, now + MAX_PLAN_SECONDS))
        if uses < at_use and now < at_time:
            self._next[pid] = (at_use, at_time)
            return False
        self._next[pid] = (max(2 * uses, 1), now + MAX_PLAN_SECONDS)
        return True
