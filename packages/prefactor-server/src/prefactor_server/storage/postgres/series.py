"""The rollups of series, and the rows that they are derived from, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.series.figures import FinishedSpan
from prefactor_server.domain.series.rollup import CountedEnd, CountedLateSpan, Rollup, RollupKey
from prefactor_server.storage.postgres.connection import ReadPool
from prefactor_server.storage.series import (
    ROLLUP_COLUMNS,
    RUN_COLUMNS,
    SPAN_COLUMNS,
    RollupRange,
)
from prefactor_server.storage.sql import load_sql

_SQL: Final[Mapping[str, str]] = {
    name: text.replace("{runs}", RUN_COLUMNS)
    .replace("{spans}", SPAN_COLUMNS)
    .replace("{rollups}", ROLLUP_COLUMNS)
    for name, text in load_sql("prefactor_server.storage.postgres.sql", "series.sql").items()
}


class PostgresSeries:
    """See ``SeriesStorage``."""

    def __init__(self, reading: ReadPool) -> None:
        self._reading = reading

    async def runs_by_id(self, account_id: str, ids: Sequence[str]) -> Sequence[AgentInstance]:
        """See ``SeriesStorage.runs_by_id``."""
        found = await self._fetch("series.runs", account_id, list(ids))
        return [AgentInstance._make(tuple(record)) for record in found]

    async def spans_by_id(self, account_id: str, ids: Sequence[str]) -> Sequence[FinishedSpan]:
        """See ``SeriesStorage.spans_by_id``."""
        found = await self._fetch("series.spans", account_id, list(ids))
        return [FinishedSpan._make(tuple(record)) for record in found]

    async def counted_late(
        self, account_id: str, run_ids: Sequence[str], ids: Sequence[str]
    ) -> Sequence[CountedLateSpan]:
        """See ``SeriesStorage.counted_late``."""
        found = await self._fetch("series.counted_late", account_id, list(run_ids), list(ids))
        return [CountedLateSpan._make(tuple(record)) for record in found]

    async def counted_ends(self, account_id: str, run_ids: Sequence[str]) -> Sequence[CountedEnd]:
        """See ``SeriesStorage.counted_ends``."""
        found = await self._fetch("series.counted_ends", account_id, list(run_ids))
        return [CountedEnd._make(tuple(record)) for record in found]

    async def rollups_by_key(self, keys: Sequence[RollupKey]) -> Sequence[Rollup]:
        """See ``SeriesStorage.rollups_by_key``."""
        if not keys:
            return ()
        columns = [list(column) for column in zip(*keys, strict=True)]
        found = await self._fetch("series.rollups_by_key", *columns)
        return [Rollup._make(tuple(record)) for record in found]

    async def rollups(self, within: RollupRange, limit: int) -> Sequence[Rollup]:
        """See ``SeriesStorage.rollups``."""
        found = await (
            self._fetch("series.rollups_of_all", *within[:-1], limit)
            if within.environment_id is None
            else self._fetch("series.rollups", *within, limit)
        )
        return [Rollup._make(tuple(record)) for record in found]

    async def first_start(self, account_id: str, agent_id: str, seconds: int) -> int | None:
        """See ``SeriesStorage.first_start``."""
        found = await self._fetch("series.first", account_id, agent_id, seconds)
        start: int | None = found[0][0]
        return start

    async def expired(self, kept_from: Mapping[int, int], limit: int) -> Sequence[RollupKey]:
        """See ``SeriesStorage.expired``."""
        found: list[RollupKey] = []
        for seconds, start in kept_from.items():
            records = await self._fetch("series.expired", seconds, start, limit)
            found += [RollupKey._make(tuple(record)) for record in records]
        return found

    async def _fetch(self, name: str, *values: object) -> Sequence[Sequence[Any]]:
        return await self._reading.run(lambda connection: connection.fetch(_SQL[name], *values))
