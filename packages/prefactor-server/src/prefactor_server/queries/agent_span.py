"""The reads of spans."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.queries.visibility import scoped_to
from prefactor_server.storage.base import SpanRecord, Storage

__all__ = ["AgentSpanQueries", "SpanRecord"]

MAX_PAGE_BYTES: Final = 64 * 1024 * 1024
"""The most bytes of payloads on one page."""

_AT_ONCE: Final = 32


class AgentSpanQueries:
    """Reads spans, with their payloads as JSON."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def find(self, principal: Principal, span_id: str) -> SpanRecord | None:
        """Return a span by its id, or None if it does not exist or the caller may not see it."""
        record = await self._storage.span(principal.account_id, span_id)
        if record is None or not principal.can_see(
            record.span.agent_id, record.span.environment_id
        ):
            return None
        return record

    async def show(self, principal: Principal, span_id: str) -> SpanRecord:
        """Return a span by its id.

        Raises:
            NotFound: no such span, or the caller may not see it.
        """
        record = await self.find(principal, span_id)
        if record is None:
            raise NotFound(f"Span {span_id!r} not found")
        return record

    async def existing(
        self, principal: Principal, ids: Collection[str], max_bytes: int | None = None
    ) -> Sequence[SpanRecord]:
        """Return the spans among ``ids`` that the caller may see, in no particular order.

        Raises:
            TooLarge: the payloads have more than ``max_bytes``.
        """
        records = await self._storage.spans_by_id(principal.account_id, ids, max_bytes)
        return [
            one for one in records if principal.can_see(one.span.agent_id, one.span.environment_id)
        ]

    async def each(self, principal: Principal, ids: Collection[str]) -> AsyncIterator[SpanRecord]:
        """Yield the spans among ``ids`` that the caller may see, with few payloads in memory."""
        named = [*ids]
        for start in range(0, len(named), _AT_ONCE):
            for record in await self.existing(principal, named[start : start + _AT_ONCE]):
                yield record

    async def page(self, principal: Principal, listing: Listing) -> Page[SpanRecord]:
        """Return a page of spans.

        Raises:
            TooLarge: their payloads have more than ``MAX_PAGE_BYTES``.
        """
        scoped = scoped_to(principal, listing)
        return await self._storage.spans(principal.account_id, scoped, MAX_PAGE_BYTES)
