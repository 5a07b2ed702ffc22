"""The totals of runs in a SQLite database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.run_total import RUN_TOTALS, RunTotal, RunTotalDue
from prefactor_server.storage.recent_spans import RecentSpans
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.upkeep.verify import RunOnThread

T = TypeVar("T")

_TOTAL: Final = ", ".join(f"t.{column}" for column in RunTotal._fields)
_RUN: Final = ", ".join(f"t.{column}" for column in AgentInstance._fields)
_SQL: Final[Mapping[str, str]] = {
    name: text.replace("{total}", _TOTAL).replace("{run}", _RUN)
    for name, text in load_sql("prefactor_server.storage.sqlite.sql", "run_totals.sql").items()
}


class SqliteRunTotals:
    """See ``RunTotals``; ``on_reader`` runs work on a reader thread.

    ``recent`` are the runs in memory, which need not be read.
    """

    def __init__(self, on_reader: RunOnThread, recent: RecentSpans) -> None:
        self._on_reader = on_reader
        self._recent = recent

    async def totals(self, account_id: str, run_ids: Sequence[str]) -> Sequence[RunTotal]:
        """See ``RunTotals.totals``."""
        named = {"account_id": account_id, "ids": json.dumps(list(run_ids))}
        return await self._all(RunTotal._make, "totals.of", named)

    async def exact(self, account_id: str, run_id: str, changes: int) -> RunTotal | None:
        """See ``RunTotals.exact``."""
        named = {"account_id": account_id, "id": run_id, "consumer": RUN_TOTALS, "changes": changes}
        found = await self._all(RunTotal._make, "totals.exact", named)
        return found[0] if found else None

    async def first_summaries(self, account_id: str, run_ids: Sequence[str]) -> Mapping[str, str]:
        """See ``RunTotals.first_summaries``."""
        named = {"account_id": account_id, "ids": json.dumps(list(run_ids))}
        found = await self._all(tuple, "totals.first_summaries", named)
        return {run_id: summary for run_id, summary in found if summary is not None}

    async def runs(self, account_id: str, run_ids: Sequence[str]) -> Sequence[AgentInstance]:
        """See ``RunTotals.runs``."""
        recent, others = self._recent.find_runs(account_id, run_ids)
        if not others:
            return recent
        named = {"account_id": account_id, "ids": json.dumps(others)}
        return [*recent, *await self._all(AgentInstance._make, "totals.runs", named)]

    async def due(self, limit: int) -> Sequence[RunTotalDue]:
        """See ``RunTotals.due``."""
        return await self._all(RunTotalDue._make, "totals.due", {"limit": limit})

    async def due_among(self, account_id: str, run_ids: Sequence[str]) -> frozenset[str]:
        """See ``RunTotals.due_among``."""
        named = {"account_id": account_id, "ids": json.dumps(list(run_ids))}
        found = await self._all(tuple, "totals.due_among", named)
        return frozenset(run_id for (run_id,) in found)

    async def with_other_prices(self, revision: int, limit: int) -> Sequence[RunTotal]:
        """See ``RunTotals.with_other_prices``."""
        named = {"revision": revision, "limit": limit}
        return await self._all(RunTotal._make, "totals.other_prices", named)

    async def with_other_profiles(self, limit: int) -> Sequence[RunTotal]:
        """See ``RunTotals.with_other_profiles``."""
        return await self._all(RunTotal._make, "totals.other_profiles", {"limit": limit})

    async def _all(
        self, make: Callable[[Iterable[Any]], T], statement: str, parameters: Mapping[str, Any]
    ) -> list[T]:
        return await self._on_reader(
            lambda connection: [
                make(record) for record in connection.execute(_SQL[statement], parameters)
            ]
        )
