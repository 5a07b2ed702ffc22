"""Heartbeats of runs, and the reads that find runs whose agents fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.silence import Heartbeat, Uptime


class Heartbeats(Protocol):
    """The heartbeats of one database, across all of its accounts.

    They are not part of the change feed, because a heartbeat does not change a run.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot take writes now.
    """

    async def record(self, heartbeats: Sequence[Heartbeat]) -> None:
        """Store heartbeats in one commit. The latest one of each run is kept."""
        ...

    async def is_waiting(self) -> bool:
        """Return whether there is any run to watch: one with a heartbeat, or an abandoned one."""
        ...

    async def extend_uptime(self, now: int) -> Sequence[Uptime]:
        """Store that a server is up now; return all stored periods of uptime, in order."""
        ...

    async def silent(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """Return unmarked active runs whose heartbeats and writes ended before a time."""
        ...

    async def abandoned(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """Return active runs that were marked as abandoned before a time."""
        ...

    async def unwritten(
        self, account_id: str, before: int, after: str, limit: int
    ) -> Sequence[AgentInstance]:
        """Return unmarked active runs of an account without writes since a time.

        They are after the run ``after``, in order of id. A run with a heartbeat since is omitted.
        """
        ...

    async def forget(self, before: int, marked_before: int, limit: int) -> int:
        """Delete some heartbeats from before a time, of runs that are not active; return how many.

        Also deletes those of runs that were marked as abandoned before another time.
        """
        ...
