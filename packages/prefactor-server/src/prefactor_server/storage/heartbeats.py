"""Heartbeats of runs, and the reads that find runs whose agents fell silent."""

from __future__ import annotations

from collections.abc import Sequence

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.silence import KEEP_US, MAX_DOWN_US, Heartbeat, Uptime
from prefactor_server.storage.sql import NamedStatements


class Heartbeats:
    """The heartbeats of one database, across all of its accounts.

    They are not part of the change feed, because a heartbeat does not change a run.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot take writes now.
    """

    def __init__(self, statements: NamedStatements) -> None:
        self._statements = statements

    async def record(self, heartbeats: Sequence[Heartbeat]) -> None:
        """Store heartbeats in one commit. The latest one of each run is kept."""
        # In order, so that two servers do not deadlock.
        await self._statements.change_each("record", sorted(heartbeats))

    async def is_waiting(self) -> bool:
        """Return whether there is any run to watch: one with a heartbeat, or an abandoned one."""
        return bool(await self._statements.value("is_waiting"))

    async def extend_uptime(self, now: int) -> Sequence[Uptime]:
        """Store that a server is up now; return all stored periods of uptime, in order."""
        if not await self._statements.change("uptime.extend", now=now, max_down=MAX_DOWN_US):
            await self._statements.change("uptime.begin", now=now)
            await self._statements.change("uptime.forget", keep_since=now - KEEP_US)
        return await self._statements.rows(Uptime._make, "uptime.all")

    async def silent(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """Return unmarked active runs whose heartbeats and writes ended before a time."""
        return await self._statements.rows(
            AgentInstance._make, "silent", before=before, limit=limit
        )

    async def abandoned(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """Return active runs that were marked as abandoned before a time."""
        return await self._statements.rows(
            AgentInstance._make, "abandoned", before=before, limit=limit
        )

    async def unwritten(
        self, account_id: str, before: int, after: str, limit: int
    ) -> Sequence[AgentInstance]:
        """Return unmarked active runs of an account without writes since a time.

        They are after the run ``after``, in order of id. A run with a heartbeat since is omitted.
        """
        return await self._statements.rows(
            AgentInstance._make,
            "unwritten",
            account_id=account_id,
            before=before,
            after=after,
            limit=limit,
        )

    async def forget(self, before: int, marked_before: int, limit: int) -> int:
        """Delete some heartbeats from before a time, of runs that are not active; return how many.

        Also deletes those of runs that were marked as abandoned before another time. Servers on one
        database skip each other's slices.
        """
        return await self._statements.change(
            "forget", before=before, marked_before=marked_before, limit=limit
        )
