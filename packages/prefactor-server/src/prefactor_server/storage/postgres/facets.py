"""The counts for facets on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance_facets import MetadataCount, RunGroup
from prefactor_server.storage.facets import (
    SpanTexts,
    metadata_counts_sql,
    run_group,
    run_groups_sql,
    span_types_sql,
)
from prefactor_server.storage.listing import Clause
from prefactor_server.storage.postgres.connection import ReadPool
from prefactor_server.storage.postgres.read import decode_payloads, fetch_by_ids, numbered

T = TypeVar("T")

_TYPES_OF_SPANS: Final = """
SELECT DISTINCT agent_instance_id, schema_name FROM visible_span
WHERE account_id = $1 AND id = ANY($2::text[])
"""


_TEXTS: Final = """
SELECT span.account_id, span.agent_instance_id, span.id, span.agent_id, span.environment_id,
       span.summary,
       ARRAY(SELECT ROW(part, codec, body) FROM span_payload
             WHERE account_id = $1 AND span_id = span.id AND span_id >= $3 AND span_id <= $4)
FROM unnest($2::text[]) AS named (id)
CROSS JOIN LATERAL (
    SELECT * FROM visible_span AS visible
    WHERE account_id = $1 AND visible.id = named.id AND visible.id >= $3 AND visible.id <= $4
    LIMIT 1
) AS span
"""
# Complete payloads are read, and each may have megabytes.
_TEXTS_AT_ONCE: Final = 20


class PostgresFacets:
    """See ``Facets``."""

    def __init__(self, reading: ReadPool, span_reading: ReadPool) -> None:
        self._reading = reading
        self._span_reading = span_reading

    async def run_groups(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Sequence[RunGroup]:
        """See ``Facets.run_groups``."""
        records = await self._found(run_groups_sql(account_id, within, filters, limit))
        return [run_group(tuple(record)) for record in records]

    async def span_types(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Mapping[str, int]:
        """See ``Facets.span_types``."""
        records = await self._found(span_types_sql(account_id, within, filters, limit))
        return {record[0]: record[1] for record in records}

    async def metadata_counts(
        self,
        account_id: str,
        within: Sequence[Filter],
        filters: Sequence[Filter],
        limit: int,
        *,
        key: str | None = None,
    ) -> Sequence[MetadataCount]:
        """See ``Facets.metadata_counts``."""
        records = await self._found(
            metadata_counts_sql(account_id, within, filters, limit, key=key)
        )
        return [MetadataCount._make(record) for record in records]

    async def each_text(
        self, account_id: str, span_ids: Sequence[str], make: Callable[[SpanTexts], T]
    ) -> Sequence[T]:
        """See ``Facets.each_text``."""
        results: list[T] = []
        for start in range(0, len(span_ids), _TEXTS_AT_ONCE):
            ids = list(span_ids[start : start + _TEXTS_AT_ONCE])
            records = await self._span_reading.run(
                partial(fetch_by_ids, sql=_TEXTS, account_id=account_id, ids=ids)
            )
            results += await asyncio.to_thread(_make_each, make, records)
        return results

    async def types_of_spans(
        self, account_id: str, span_ids: Sequence[str]
    ) -> Sequence[tuple[str, str]]:
        """See ``Facets.types_of_spans``."""
        records = await self._reading.run(
            lambda connection: connection.fetch(_TYPES_OF_SPANS, account_id, list(span_ids))
        )
        return [(record[0], record[1]) for record in records]

    async def _found(self, query: Clause) -> Sequence[Any]:
        text = numbered(query.sql)
        return await self._reading.run(lambda connection: connection.fetch(text, *query.parameters))


def _make_each(make: Callable[[SpanTexts], T], records: Sequence[Any]) -> list[T]:
    return [make(_texts(record)) for record in records]


def _texts(record: Sequence[Any]) -> SpanTexts:
    texts: list[Any] = [*record[:6], *decode_payloads(record[6])]
    return SpanTexts(*texts)
