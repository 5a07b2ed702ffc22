"""Heartbeats of runs, and what finds the runs whose agents fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.silence import Heartbeat, Uptime


class Heartbeats(Protocol):
    """The heartbeats of one database, across all of its accounts.

    They are no part of the change feed: nothing about a run changes with a heartbeat.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot take writes now.
    """

    async def record(self, heard: Sequence[Heartbeat]) -> None:
        """Store heartbeats in one commit. Of two of a run, the later stays."""
        ...

    async def is_waiting(self) -> bool:
        """Return whether there is any run to watch: one with a heartbeat, or an abandoned one."""
        ...

    async def extend_uptime(self, now: int) -> Sequence[Uptime]:
        """Store that a server is there now; return all uptime that is remembered, in order."""
        ...

    async def silent(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """Return active runs, not marked yet, whose heartbeats and writes ended before a time."""
        ...

    async def abandoned(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """Return active runs that were marked as abandoned before a time."""
        ...

    async def unwritten(
        self, account_id: str, before: int, after: str, limit: int
    ) -> Sequence[AgentInstance]:
        """Return active runs of an account, not marked yet, that nothing was written of since.

        They follow the run ``after``, in the order of their ids. A run with a heartbeat since is
        left out.
        """
        ...

    async def forget(self, before: int, marked_before: int, limit: int) -> int:
        """Delete some heartbeats from before a time, of runs that are not active; how many.

        Also those of runs that were marked as abandoned before another time.
        """
        ...
