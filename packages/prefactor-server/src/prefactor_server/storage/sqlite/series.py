"""The rollups of series, and the rows that they are derived from, in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Final

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.series.figures import FinishedSpan
from prefactor_server.domain.series.rollup import CountedEnd, CountedLateSpan, Rollup, RollupKey
from prefactor_server.storage.recent_spans import RecentSpans
from prefactor_server.storage.series import (
    ROLLUP_COLUMNS,
    RUN_COLUMNS,
    SPAN_COLUMNS,
    RollupRange,
)
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.upkeep.verify import RunOnThread

_SQL: Final[Mapping[str, str]] = {
    name: text.replace("{runs}", RUN_COLUMNS)
    .replace("{spans}", SPAN_COLUMNS)
    .replace("{rollups}", ROLLUP_COLUMNS)
    for name, text in load_sql("prefactor_server.storage.sqlite.sql", "series.sql").items()
}

_COUNTED: Final = attrgetter(*FinishedSpan._fields)


class SqliteSeries:
    """See ``SeriesStorage``; ``on_reader`` runs work on a reader thread.

    ``recent`` are the spans and runs in memory, which need not be read.
    """

    def __init__(self, on_reader: RunOnThread, recent: RecentSpans) -> None:
        self._on_reader = on_reader
        self._recent = recent

    async def runs_by_id(self, account_id: str, ids: Sequence[str]) -> Sequence[AgentInstance]:
        """See ``SeriesStorage.runs_by_id``."""
        recent, others = self._recent.find_runs(account_id, ids)
        if not others:
            return recent
        named = {"account_id": account_id, "ids": json.dumps(others)}
        found = await self._on_reader(
            lambda connection: [
                AgentInstance._make(row) for row in connection.execute(_SQL["series.runs"], named)
            ]
        )
        return [*recent, *found]

    async def spans_by_id(self, account_id: str, ids: Sequence[str]) -> Sequence[FinishedSpan]:
        """See ``SeriesStorage.spans_by_id``."""
        recent, others = self._recent.find(account_id, ids)
        found = [
            FinishedSpan._make(_COUNTED(one.span))
            for one in recent
            if one.span.finished_at is not None
        ]
        if others:
            named = {"account_id": account_id, "ids": json.dumps(others)}
            found += await self._on_reader(
                lambda connection: [
                    FinishedSpan._make(row)
                    for row in connection.execute(_SQL["series.spans"], named)
                ]
            )
        return found

    async def counted_late(
        self, account_id: str, run_ids: Sequence[str], ids: Sequence[str]
    ) -> Sequence[CountedLateSpan]:
        """See ``SeriesStorage.counted_late``."""
        named = {
            "account_id": account_id,
            "run_ids": json.dumps(list(run_ids)),
            "ids": json.dumps(list(ids)),
        }
        return await self._on_reader(
            lambda connection: [
                CountedLateSpan._make(row)
                for row in connection.execute(_SQL["series.counted_late"], named)
            ]
        )

    async def counted_ends(self, account_id: str, run_ids: Sequence[str]) -> Sequence[CountedEnd]:
        """See ``SeriesStorage.counted_ends``."""
        named = {"account_id": account_id, "run_ids": json.dumps(list(run_ids))}
        return await self._on_reader(
            lambda connection: [
                CountedEnd._make(row)
                for row in connection.execute(_SQL["series.counted_ends"], named)
            ]
        )

    async def rollups_by_key(self, keys: Sequence[RollupKey]) -> Sequence[Rollup]:
        """See ``SeriesStorage.rollups_by_key``."""

        def read(connection: sqlite3.Connection) -> Sequence[Rollup]:
            found: list[Rollup] = []
            for key in keys:
                rows = connection.execute(_SQL["series.rollup"], key).fetchall()
                if not rows and key == key.of_all:
                    rows = connection.execute(_SQL["series.rollups_of_bucket"], key[:-1]).fetchall()
                found += map(Rollup._make, rows)
            return found

        return await self._on_reader(read)

    async def rollups(self, within: RollupRange, limit: int) -> Sequence[Rollup]:
        """See ``SeriesStorage.rollups``."""
        named = {**within._asdict(), "limit": limit}
        sql = _SQL["series.rollups_of_all" if within.environment_id is None else "series.rollups"]
        return await self._on_reader(
            lambda connection: [Rollup._make(row) for row in connection.execute(sql, named)]
        )

    async def first_start(self, account_id: str, agent_id: str, seconds: int) -> int | None:
        """See ``SeriesStorage.first_start``."""

        def read(connection: sqlite3.Connection) -> int | None:
            named = (account_id, agent_id, seconds)
            start: int | None = connection.execute(_SQL["series.first"], named).fetchone()[0]
            return start

        return await self._on_reader(read)

    async def expired(self, kept_from: Mapping[int, int], limit: int) -> Sequence[RollupKey]:
        """See ``SeriesStorage.expired``."""

        def read(connection: sqlite3.Connection) -> Sequence[RollupKey]:
            return [
                RollupKey._make(row)
                for named in kept_from.items()
                for row in connection.execute(_SQL["series.expired"], (*named, limit))
            ]

        return await self._on_reader(read)
