"""The bounded reads of a database server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance_facets import RunGroup
from prefactor_server.storage.find import run_group, run_groups_sql, span_types_sql
from prefactor_server.storage.postgres.connection import RetryingPool
from prefactor_server.storage.postgres.read import numbered

_TYPES_OF_SPANS: Final = """
SELECT DISTINCT agent_instance_id, schema_name FROM agent_span
WHERE account_id = $1 AND id = ANY($2::text[])
"""


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

    async def span_types(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Mapping[str, int]:
        """See ``RunFinder.span_types``."""
        asked = span_types_sql(account_id, within, filters, limit)
        text = numbered(asked.sql)
        records = await self._reading.run(
            lambda connection: connection.fetch(text, *asked.parameters)
        )
        return {record[0]: record[1] for record in records}

    async def types_of_spans(
        self, account_id: str, span_ids: Sequence[str]
    ) -> Sequence[tuple[str, str]]:
        """See ``RunFinder.types_of_spans``."""
        records = await self._reading.run(
            lambda connection: connection.fetch(_TYPES_OF_SPANS, account_id, list(span_ids))
        )
        return [(record[0], record[1]) for record in records]
