"""The totals of runs in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.run_total import RUN_TOTALS, RunTotal, RunTotalDue
from prefactor_server.storage.postgres.connection import ReadPool
from prefactor_server.storage.sql import load_sql

T = TypeVar("T")

_TOTAL: Final = ", ".join(f"t.{column}" for column in RunTotal._fields)
_RUN: Final = ", ".join(f"t.{column}" for column in AgentInstance._fields)
_SQL: Final[Mapping[str, str]] = {
    name: text.replace("{total}", _TOTAL).replace("{run}", _RUN)
    for name, text in load_sql("prefactor_server.storage.postgres.sql", "run_totals.sql").items()
}


class PostgresRunTotals:
    """See ``RunTotals``."""

    def __init__(self, reading: ReadPool, span_reading: ReadPool) -> None:
        self._reading = reading
        self._span_reading = span_reading

    async def totals(self, account_id: str, run_ids: Sequence[str]) -> Sequence[RunTotal]:
        """See ``RunTotals.totals``."""
        return await self._all(RunTotal._make, "totals.of", account_id, list(run_ids))

    async def exact(self, account_id: str, run_id: str, changes: int) -> RunTotal | None:
        """See ``RunTotals.exact``."""
        values = (account_id, run_id, RUN_TOTALS, changes)
        found = await self._all(RunTotal._make, "totals.exact", *values)
        return found[0] if found else None

    async def first_summaries(self, account_id: str, run_ids: Sequence[str]) -> Mapping[str, str]:
        """See ``RunTotals.first_summaries``."""
        sql = _SQL["totals.first_summaries"]
        found = await self._span_reading.run(
            lambda connection: connection.fetch(sql, account_id, list(run_ids))
        )
        return {run_id: summary for run_id, summary in found if summary is not None}

    async def runs(self, account_id: str, run_ids: Sequence[str]) -> Sequence[AgentInstance]:
        """See ``RunTotals.runs``."""
        return await self._all(AgentInstance._make, "totals.runs", account_id, list(run_ids))

    async def due(self, limit: int) -> Sequence[RunTotalDue]:
        """See ``RunTotals.due``."""
        return await self._all(RunTotalDue._make, "totals.due", limit)

    async def due_among(self, account_id: str, run_ids: Sequence[str]) -> frozenset[str]:
        """See ``RunTotals.due_among``."""
        found = await self._all(tuple, "totals.due_among", account_id, list(run_ids))
        return frozenset(run_id for (run_id,) in found)

    async def with_other_prices(self, revision: int, limit: int) -> Sequence[RunTotal]:
        """See ``RunTotals.with_other_prices``."""
        return await self._all(RunTotal._make, "totals.other_prices", revision, limit)

    async def with_other_profiles(self, limit: int) -> Sequence[RunTotal]:
        """See ``RunTotals.with_other_profiles``."""
        return await self._all(RunTotal._make, "totals.other_profiles", limit)

    async def _all(
        self, make: Callable[[Iterable[Any]], T], statement: str, *values: object
    ) -> list[T]:
        records = await self._reading.run(
            lambda connection: connection.fetch(_SQL[statement], *values)
        )
        return [make(record) for record in records]
