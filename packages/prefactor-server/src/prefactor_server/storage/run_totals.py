"""The reads for computing the totals of runs, and the stored totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.run_total import RUN_TOTALS, RunTotal, RunTotalDue
from prefactor_server.storage.recent_spans import RecentSpans
from prefactor_server.storage.sql import NamedStatements


class RunTotals:
    """The totals in one database.

    ``of_spans`` executes those of the statements that read spans. ``recent`` are the runs in
    memory, which need not be read.

    Raises from every method:
        Unavailable: the database cannot be reached.
    """

    def __init__(
        self, statements: NamedStatements, of_spans: NamedStatements, recent: RecentSpans
    ) -> None:
        self._statements = statements
        self._of_spans = of_spans
        self._recent = recent

    async def totals(self, account_id: str, run_ids: Sequence[str]) -> Sequence[RunTotal]:
        """Return the stored totals of runs, in no particular order."""
        return await self._statements.rows(
            RunTotal._make, "totals.of", account_id=account_id, ids=list(run_ids)
        )

    async def exact(self, account_id: str, run_id: str, changes: int) -> RunTotal | None:
        """Return a run's stored total if it counts all of the run's spans as they are now.

        At most ``changes`` changes of the feed are examined. None if the run may have changed since
        it was counted, or has no total.
        """
        found = await self._statements.rows(
            RunTotal._make,
            "totals.exact",
            account_id=account_id,
            id=run_id,
            consumer=RUN_TOTALS,
            changes=changes,
        )
        return found[0] if found else None

    async def first_summaries(self, account_id: str, run_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the summary of the first span of each run, if it has one.

        The first is the earliest root among the 64 spans with the lowest ids.
        """
        found = await self._of_spans.rows(
            tuple, "totals.first_summaries", account_id=account_id, ids=list(run_ids)
        )
        return {run_id: summary for run_id, summary in found if summary is not None}

    async def runs(self, account_id: str, run_ids: Sequence[str]) -> Sequence[AgentInstance]:
        """Return the existing runs among ``run_ids``, in no particular order."""
        recent, others = self._recent.find_runs(account_id, run_ids)
        if not others:
            return recent
        found = await self._statements.rows(
            AgentInstance._make, "totals.runs", account_id=account_id, ids=list(others)
        )
        return [*recent, *found]

    async def due(self, limit: int) -> Sequence[RunTotalDue]:
        """Return runs of all accounts that must be counted, longest waiting first."""
        return await self._statements.rows(RunTotalDue._make, "totals.due", limit=limit)

    async def due_among(self, account_id: str, run_ids: Sequence[str]) -> frozenset[str]:
        """Return the runs that must be counted."""
        found = await self._statements.rows(
            tuple, "totals.due_among", account_id=account_id, ids=list(run_ids)
        )
        return frozenset(run_id for (run_id,) in found)

    async def with_other_prices(self, revision: int, limit: int) -> Sequence[RunTotal]:
        """Return totals of all accounts that were computed with other prices."""
        return await self._statements.rows(
            RunTotal._make, "totals.other_prices", revision=revision, limit=limit
        )

    async def with_other_profiles(self, limit: int) -> Sequence[RunTotal]:
        """Return totals of all accounts whose agent has a new or changed profile now."""
        return await self._statements.rows(RunTotal._make, "totals.other_profiles", limit=limit)
