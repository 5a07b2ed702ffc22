"""The consumer that keeps the search index up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from prefactor_server.domain.change import RUN_DELETED, Change
from prefactor_server.domain.search.index import NAME, SearchDocument
from prefactor_server.domain.search.text import span_text
from prefactor_server.domain.search.words import scopes_of_span
from prefactor_server.follower.consumer import Consumer
from prefactor_server.storage.base import Storage
from prefactor_server.storage.facets import SpanTexts
from prefactor_server.storage.feed import Deleted, Derived

# Small, so that other readers do not wait for long.
_READ_AT_A_TIME: Final = 500
_DELETED_AT_A_TIME: Final = 1000


class SearchConsumer(Consumer):
    """Indexes the words of every span in its current state."""

    name = NAME

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def apply(self, changes: Sequence[Change]) -> Derived:
        """See ``Consumer.apply``. A slice that is applied again gives the same rows."""
        # By account, the run of each span. A span is indexed once, however often it changed.
        named: dict[str, dict[str, str]] = {}
        deleted: list[Deleted] = []
        for change in changes:
            run = (change.account_id, change.agent_instance_id)
            if change.flags & RUN_DELETED:
                deleted.append(Deleted(SearchDocument, run))
            spans = named.setdefault(change.account_id, {})
            spans.update(dict.fromkeys(change.span_ids, change.agent_instance_id))
        documents: list[tuple[Any, ...]] = []
        for account_id, spans in named.items():
            found = await self._documents(account_id, tuple(spans))
            documents += found
            if len(found) < len(spans):
                existing = {span_id for _, _, span_id, *_ in found}
                deleted += [
                    Deleted(SearchDocument, (account_id, run_id, span_id))
                    for span_id, run_id in spans.items()
                    if span_id not in existing
                ]
        return Derived(upserted=documents, deleted=list(dict.fromkeys(deleted)))

    async def reset(self) -> Derived | None:
        """See ``Consumer.reset``."""
        deleted = await self._storage.search.some(_DELETED_AT_A_TIME)
        return Derived(deleted=deleted) if deleted else None

    async def _documents(self, account_id: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        documents: list[tuple[Any, ...]] = []
        for start in range(0, len(ids), _READ_AT_A_TIME):
            chunk = ids[start : start + _READ_AT_A_TIME]
            documents += await self._storage.facets.each_text(account_id, chunk, self._document)
        return documents

    def _document(self, span: SpanTexts) -> tuple[Any, ...]:
        payload: Any = {} if span.payload is None else msgspec.json.decode(span.payload)
        result: Any = None if span.result is None else msgspec.json.decode(span.result)
        text = span_text(span.summary, payload, result)
        scopes = scopes_of_span(span.account_id, span.agent_id, span.environment_id)
        key = (span.account_id, span.agent_instance_id, span.id)
        return self._storage.search.document(key, text, scopes)
