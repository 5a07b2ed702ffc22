"""The consumer that stores the span types of each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prefactor_server.domain.change import RUN_DELETED, Change
from prefactor_server.domain.runs.run_span_type import RunSpanType
from prefactor_server.follower.consumer import Consumer
from prefactor_server.storage.base import Storage
from prefactor_server.storage.feed import Deleted, Derived

_READ_AT_A_TIME: Final = 500
_DELETED_AT_A_TIME: Final = 500


class SpanTypesConsumer(Consumer):
    """Derives ``RunSpanType`` rows. A span never changes its type."""

    name = "span_types"

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def apply(self, changes: Sequence[Change]) -> Derived:
        """See ``Consumer.apply``. A slice that is applied again gives the same rows."""
        named: dict[str, dict[str, None]] = {}
        deleted: dict[Deleted, None] = {}
        for change in changes:
            if change.flags & RUN_DELETED:
                run = (change.account_id, change.agent_instance_id)
                deleted[Deleted(RunSpanType, run)] = None
            named.setdefault(change.account_id, {}).update(dict.fromkeys(change.span_ids))
        found: dict[RunSpanType, None] = {}
        for account_id, spans in named.items():
            ids = tuple(spans)
            for start in range(0, len(ids), _READ_AT_A_TIME):
                pairs = await self._storage.facets.types_of_spans(
                    account_id, ids[start : start + _READ_AT_A_TIME]
                )
                found.update((RunSpanType(account_id, *pair), None) for pair in pairs)
        return Derived(upserted=list(found), deleted=list(deleted))

    async def reset(self) -> Derived | None:
        """See ``Consumer.reset``."""
        rows = await self._storage.feed.some(RunSpanType, _DELETED_AT_A_TIME)
        return Derived(deleted=rows) if rows else None
