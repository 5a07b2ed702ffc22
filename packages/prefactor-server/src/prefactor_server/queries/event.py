"""The reads for live events: the change feed, and the rows that changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from prefactor_server.domain.change import Change
from prefactor_server.domain.event import ChangedRows, EventFilter, merge_changes
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.storage.base import Storage

MAX_SPANS: Final = 5000
"""The most changed spans of an account that are read at once."""


class EventQueries:
    """Reads the change feed of all accounts, and changed rows of one account at a time."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def position(self) -> int:
        """Return the position of the latest commit."""
        return await self._storage.feed.position()

    async def pruned_to(self) -> int:
        """Return the position up to which the feed has been deleted."""
        return await self._storage.feed.pruned_to()

    async def changes(self, after: int, limit: int) -> Sequence[Change]:
        """Return the changes after a position: whole commits, of about ``limit`` rows."""
        return await self._storage.feed.changes(after, limit)

    async def listen(self, on_commit: Callable[[], None]) -> None:
        """Call a function after each commit of another server, until cancelled."""
        await self._storage.feed.listen(on_commit)

    async def rows(
        self, account_id: str, changes: Iterable[Change], filters: Collection[EventFilter]
    ) -> ChangedRows:
        """Return an account's changes, with the rows that any of the filters may pass.

        Beyond ``MAX_SPANS``, no spans are read.
        """
        merged = {
            run_id: span_ids
            for run_id, span_ids in merge_changes(changes).items()
            if any(one.may_pass(run_id) for one in filters)
        }
        found = await self._storage.rows_by_id(AgentInstance, account_id, merged) if merged else ()
        runs = {run.id: run for run in found}
        passing = [
            span_id
            for run_id, span_ids in merged.items()
            if run_id in runs
            and any(one.wants_spans(run_id) and one.passes(runs[run_id]) for one in filters)
            for span_id in span_ids
        ]
        can_read = 0 < len(passing) <= MAX_SPANS
        spans = await self._storage.rows_by_id(AgentSpan, account_id, passing) if can_read else ()
        metadata = (
            await self._storage.rows_by_id(InstanceMetadata, account_id, runs) if runs else ()
        )
        return ChangedRows(
            merged,
            runs,
            None if len(passing) > MAX_SPANS else {span.id: span for span in spans},
            {one.id: one for one in metadata},
        )
