"""The counts for facets on SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, TypeVar

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance_facets import MetadataCount, RunGroup
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.payloads import decode_document
from prefactor_server.storage.facets import (
    SpanTexts,
    metadata_counts_sql,
    run_group,
    run_groups_sql,
    span_types_sql,
)
from prefactor_server.storage.recent_spans import Body, RecentSpan, RecentSpans
from prefactor_server.storage.sqlite.named_statements import RunOnThread

T = TypeVar("T")

_TYPES_OF_SPANS: Final = """
SELECT DISTINCT agent_instance_id, schema_name FROM visible_span
WHERE account_id = ? AND id IN (SELECT value FROM json_each(?))
"""


# The row ids of payloads are derived from their span's. CROSS JOIN starts with the ids.
_TEXTS: Final = """
SELECT span.account_id, span.agent_instance_id, span.id, span.agent_id, span.environment_id,
       span.summary, payload.codec, payload.body, result.codec, result.body
FROM json_each(?) AS named
CROSS JOIN visible_span AS span ON span.account_id = ? AND span.id = named.value
LEFT JOIN span_payload AS payload ON payload.id = span.seq * 2
LEFT JOIN span_payload AS result ON result.id = span.seq * 2 + 1
"""


def _columns(*names: str) -> itemgetter[Any]:
    return itemgetter(*map(AgentSpan._fields.index, names))


_COLUMNS: Final = _columns(*SpanTexts.__struct_fields__[:6])
_TYPE: Final = _columns("agent_instance_id", "schema_name")


class SqliteFacets:
    """See ``Facets``; ``on_reader`` runs work on a reader thread.

    ``recent`` are the spans in memory, which need not be read.
    """

    def __init__(self, on_reader: RunOnThread, recent: RecentSpans) -> None:
        self._on_reader = on_reader
        self._recent = recent

    async def run_groups(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Sequence[RunGroup]:
        """See ``Facets.run_groups``."""
        query = run_groups_sql(account_id, within, filters, limit)
        return await self._on_reader(
            lambda connection: [
                run_group(record) for record in connection.execute(query.sql, query.parameters)
            ]
        )

    async def span_types(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Mapping[str, int]:
        """See ``Facets.span_types``."""
        query = span_types_sql(account_id, within, filters, limit)
        return dict(
            await self._on_reader(
                lambda connection: connection.execute(query.sql, query.parameters).fetchall()
            )
        )

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
        query = metadata_counts_sql(account_id, within, filters, limit, key=key)
        return await self._on_reader(
            lambda connection: [
                MetadataCount._make(record)
                for record in connection.execute(query.sql, query.parameters)
            ]
        )

    async def each_text(
        self, account_id: str, span_ids: Sequence[str], make: Callable[[SpanTexts], T]
    ) -> Sequence[T]:
        """See ``Facets.each_text``; one span at a time is in memory."""

        def each(connection: sqlite3.Connection) -> list[T]:
            recent, others = self._recent.find(account_id, span_ids)
            results = [make(_texts_of_recent(one)) for one in recent]
            if others:
                values = (json.dumps(others), account_id)
                results += [make(_texts(record)) for record in connection.execute(_TEXTS, values)]
            return results

        return await self._on_reader(each)

    async def types_of_spans(
        self, account_id: str, span_ids: Sequence[str]
    ) -> Sequence[tuple[str, str]]:
        """See ``Facets.types_of_spans``."""
        recent, others = self._recent.find(account_id, span_ids)
        pairs = dict.fromkeys([_TYPE(one.span) for one in recent])
        if others:
            values = (account_id, json.dumps(others))
            pairs |= dict.fromkeys(
                await self._on_reader(
                    lambda connection: connection.execute(_TYPES_OF_SPANS, values).fetchall()
                )
            )
        return tuple(pairs)


def _texts_of_recent(one: RecentSpan) -> SpanTexts:
    texts: list[Any] = [*_COLUMNS(one.span), _decoded(one.payload), _decoded(one.result)]
    return SpanTexts(*texts)


def _texts(record: Sequence[Any]) -> SpanTexts:
    payload, result = (
        _decoded(None if body is None else (codec, body))
        for codec, body in (record[6:8], record[8:10])
    )
    texts: list[Any] = [*record[:6], payload, result]
    return SpanTexts(*texts)


def _decoded(body: Body | None) -> bytes | None:
    return None if body is None else decode_document(*body)
