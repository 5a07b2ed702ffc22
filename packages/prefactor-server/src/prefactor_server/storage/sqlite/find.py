"""The bounded reads of a database file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance_facets import RunGroup
from prefactor_server.storage.find import run_group, run_groups_sql, span_types_sql
from prefactor_server.storage.sqlite.verify import RunOnThread

_TYPES_OF_SPANS: Final = """
SELECT DISTINCT agent_instance_id, schema_name FROM agent_span
WHERE account_id = ? AND id IN (SELECT value FROM json_each(?))
"""


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

    async def span_types(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Mapping[str, int]:
        """See ``RunFinder.span_types``."""
        asked = span_types_sql(account_id, within, filters, limit)
        return dict(
            await self._on_reader(
                lambda connection: connection.execute(asked.sql, asked.parameters).fetchall()
            )
        )

    async def types_of_spans(
        self, account_id: str, span_ids: Sequence[str]
    ) -> Sequence[tuple[str, str]]:
        """See ``RunFinder.types_of_spans``."""
        values = (account_id, json.dumps(list(span_ids)))
        return await self._on_reader(
            lambda connection: connection.execute(_TYPES_OF_SPANS, values).fetchall()
        )
