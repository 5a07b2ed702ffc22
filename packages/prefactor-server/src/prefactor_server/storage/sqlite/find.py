"""The bounded reads of a database file."""

from __future__ import annotations

from collections.abc import Sequence

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance_facets import RunGroup
from prefactor_server.storage.find import run_group, run_groups_sql
from prefactor_server.storage.sqlite.verify import RunOnThread


class SqliteRunFinder:
    """See ``RunFinder``; ``on_reader`` runs work on a thread that reads."""

    def __init__(self, on_reader: RunOnThread) -> None:
        self._on_reader = on_reader

    async def run_groups(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Sequence[RunGroup]:
        """See ``RunFinder.run_groups``."""
        asked = run_groups_sql(account_id, within, filters, limit)
        return await self._on_reader(
            lambda connection: [
                run_group(record) for record in connection.execute(asked.sql, asked.parameters)
            ]
        )
