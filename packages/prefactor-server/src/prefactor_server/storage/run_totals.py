"""The reads for computing the totals of runs, and the stored totals."""

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
        """Return the stored totals of runs, in no particular order."""
        ...

    async def exact(self, account_id: str, run_id: str, changes: int) -> RunTotal | None:
        """Return a run's stored total if it counts all of the run's spans as they are now.

        At most ``changes`` changes of the feed are examined. None if the run may have changed since
        it was counted, or has no total.
        """
        ...

    async def first_summaries(self, account_id: str, run_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the summary of the first span of each run, if it has one.

        The first is the earliest root among the 64 spans with the lowest ids.
        """
        ...

    async def runs(self, account_id: str, run_ids: Sequence[str]) -> Sequence[AgentInstance]:
        """Return the existing runs among ``run_ids``, in no particular order."""
        ...

    async def due(self, limit: int) -> Sequence[RunTotalDue]:
        """Return runs of all accounts that must be counted, longest waiting first."""
        ...

    async def due_among(self, account_id: str, run_ids: Sequence[str]) -> frozenset[str]:
        """Return the runs that must be counted."""
        ...

    async def with_other_prices(self, revision: int, limit: int) -> Sequence[RunTotal]:
        """Return totals of all accounts that were computed with other prices."""
        ...

    async def with_other_profiles(self, limit: int) -> Sequence[RunTotal]:
        """Return totals of all accounts whose agent has a new or changed profile now."""
        ...
