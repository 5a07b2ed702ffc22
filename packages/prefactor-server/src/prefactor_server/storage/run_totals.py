"""The reads that the totals of runs are made of, and the totals themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.run_total import RunTotal, RunTotalDue


class RunTotals(Protocol):
    """The totals in one database.

    Raises from every method:
        Unavailable: the database cannot be reached.
    """

    async def totals(self, account_id: str, run_ids: Sequence[str]) -> Sequence[RunTotal]:
        """Return the totals of those of the runs that have any, in no particular order."""
        ...

    async def first_summaries(self, account_id: str, run_ids: Sequence[str]) -> Mapping[str, str]:
        """Return what the first span of each run says, for runs whose first span says something.

        The first is the earliest root among the 64 spans with the lowest ids.
        """
        ...

    async def runs(self, account_id: str, run_ids: Sequence[str]) -> Sequence[AgentInstance]:
        """Return those of the runs that are there, in no particular order."""
        ...

    async def due(self, limit: int) -> Sequence[RunTotalDue]:
        """Return runs of all accounts to be counted, those first that have waited longest."""
        ...

    async def due_among(self, account_id: str, run_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the runs that are to be counted."""
        ...

    async def with_other_prices(self, revision: int, limit: int) -> Sequence[RunTotal]:
        """Return totals of all accounts that were made with other prices than these."""
        ...

    async def with_other_profiles(self, limit: int) -> Sequence[RunTotal]:
        """Return totals of all accounts whose agent has another profile now, or a changed one."""
        ...
