"""The bounded reads of a database file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance_facets import RunGroup
from prefactor_server.payloads import decode_document
from prefactor_server.storage.find import SpanTexts, run_group, run_groups_sql, span_types_sql
from prefactor_server.storage.sqlite.verify import RunOnThread

T = TypeVar("T")

_TYPES_OF_SPANS: Final = """
SELECT DISTINCT agent_instance_id, schema_name FROM agent_span
WHERE account_id = ? AND id IN (SELECT value FROM json_each(?))
"""


# A span's payloads have numbers that follow from its own. CROSS JOIN begins with the ids.
_TEXTS: Final = """
SELECT span.account_id, span.agent_instance_id, span.id, span.agent_id, span.environment_id,
       span.summary, payload.codec, payload.body, result.codec, result.body
FROM json_each(?) AS named
CROSS JOIN agent_span AS span ON span.account_id = ? AND span.id = named.value
LEFT JOIN span_payload AS payload ON payload.id = span.seq * 2
LEFT JOIN span_payload AS result ON result.id = span.seq * 2 + 1
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

    async def each_text(
        self, account_id: str, span_ids: Sequence[str], make: Callable[[SpanTexts], T]
    ) -> Sequence[T]:
        """See ``RunFinder.each_text``; one at a time is in memory."""
        values = (json.dumps(list(span_ids)), account_id)
        return await self._on_reader(
            lambda connection: [
                make(_texts(record)) for record in connection.execute(_TEXTS, values)
            ]
        )

    async def types_of_spans(
        self, account_id: str, span_ids: Sequence[str]
    ) -> Sequence[tuple[str, str]]:
        """See ``RunFinder.types_of_spans``."""
        values = (account_id, json.dumps(list(span_ids)))
        return await self._on_reader(
            lambda connection: connection.execute(_TYPES_OF_SPANS, values).fetchall()
        )


def _texts(record: Sequence[Any]) -> SpanTexts:
    payload, result = (
        None if body is None else decode_document(codec, body)
        for codec, body in (record[6:8], record[8:10])
    )
    return SpanTexts._make((*record[:6], payload, result))
