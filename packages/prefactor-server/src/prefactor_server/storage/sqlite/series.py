"""Reads of rollups by their keys, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from prefactor_server.domain.series.rollup import Rollup, RollupKey
from prefactor_server.storage.recent_spans import RecentSpans
from prefactor_server.storage.series import SeriesStorage
from prefactor_server.storage.sqlite.named_statements import SqliteStatements


class SqliteSeries(SeriesStorage):
    """See ``SeriesStorage``."""

    def __init__(self, statements: SqliteStatements, recent: RecentSpans) -> None:
        super().__init__(statements, recent)
        self._sql = statements.sql
        self._on_reader = statements.on_reader

    async def rollups_by_key(self, keys: Sequence[RollupKey]) -> Sequence[Rollup]:
        """See ``SeriesStorage.rollups_by_key``."""

        def read(connection: sqlite3.Connection) -> Sequence[Rollup]:
            found: list[Rollup] = []
            for key in keys:
                rows = connection.execute(self._sql["series.rollup"], key).fetchall()
                if not rows and key == key.of_all:
                    of_each = self._sql["series.rollups_of_bucket"]
                    rows = connection.execute(of_each, key[:-1]).fetchall()
                found += map(Rollup._make, rows)
            return found

        return await self._on_reader(read)
