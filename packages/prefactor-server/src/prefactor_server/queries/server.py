"""The reads of the state of the database, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from prefactor_server.storage.base import Storage
from prefactor_server.storage.feed import ConsumerState
from prefactor_server.storage.maintenance import DatabaseStatus


class ConsumerStatus(NamedTuple):
    """The progress of a consumer of the change feed.

    ``behind_us`` is the age of the oldest commit that it has not processed. It is not ``complete``
    until its backfill has finished.
    """

    name: str
    position: int
    behind: int
    behind_us: int
    complete: bool


class FeedStatus(NamedTuple):
    """The position of the last commit in the change feed, and the feed's consumers."""

    position: int
    consumers: Sequence[ConsumerStatus]


class ServerQueries:
    """Reads the state of the database across accounts, without any of their data."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def database(self) -> DatabaseStatus:
        """Return the kind, version and size of the database."""
        return await self._storage.maintenance.status()

    async def feed(self, now: int) -> FeedStatus:
        """Return the position of the change feed, and its consumers."""
        states = dict(await self._storage.feed.states())
        # The search index may keep its state in a separate file.
        search = await self._storage.search.state()
        if search is not None:
            states[search.consumer] = search
        # Read after the states, so that no consumer is ahead of the feed.
        last = await self._storage.feed.position()
        found = [await self._consumer(states[name], last, now) for name in sorted(states)]
        return FeedStatus(last, found)

    async def _consumer(self, state: ConsumerState, last: int, now: int) -> ConsumerStatus:
        waiting = (
            await self._storage.feed.changes(state.position, 1) if state.position < last else ()
        )
        return ConsumerStatus(
            name=state.consumer,
            position=state.position,
            behind=max(last - state.position, 0),
            behind_us=max(now - waiting[0].at, 0) if waiting else 0,
            complete=state.backfill is None,
        )
