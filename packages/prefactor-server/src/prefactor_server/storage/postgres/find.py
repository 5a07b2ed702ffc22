"""The bounded reads of a database server."""

from __future__ import annotations

from collections.abc import Sequence

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance_facets import RunGroup
from prefactor_server.storage.find import run_group, run_groups_sql
from prefactor_server.storage.postgres.connection import RetryingPool
from prefactor_server.storage.postgres.read import numbered


class PostgresRunFinder:
    """See ``RunFinder``."""

    def __init__(self, reading: RetryingPool) -> None:
        self._reading = reading

    async def run_groups(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Sequence[RunGroup]:
        """See ``RunFinder.run_groups``."""
        asked = run_groups_sql(account_id, within, filters, limit)
        text = numbered(asked.sql)
        records = await self._reading.run(
            lambda connection: connection.fetch(text, *asked.parameters)
        )
        return [run_group(tuple(record)) for record in records]
