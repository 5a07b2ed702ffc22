"""Reads of rollups by their keys, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from prefactor_server.domain.series.rollup import Rollup, RollupKey
from prefactor_server.storage.series import SeriesStorage


class PostgresSeries(SeriesStorage):
    """See ``SeriesStorage``."""

    async def rollups_by_key(self, keys: Sequence[RollupKey]) -> Sequence[Rollup]:
        """See ``SeriesStorage.rollups_by_key``."""
        columns = (list(column) for column in zip(*keys, strict=True))
        values = dict(zip(RollupKey._fields, columns, strict=False))
        if not values:
            return ()
        return await self._statements.rows(Rollup._make, "series.rollups_by_key", **values)
