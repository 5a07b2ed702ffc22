"""The reads about the database as a whole, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from prefactor_server.storage.base import Storage
from prefactor_server.storage.feed import ConsumerState
from prefactor_server.storage.maintenance import DatabaseStatus


class ConsumerStatus(NamedTuple):
    """How far a consumer of the change feed is.

    ``behind_us`` is for how long the first commit has waited that it has not seen. It is not
    ``complete`` until what was stored before has been filled in.
    """

    name: str
    position: int
    behind: int
    behind_us: int
    complete: bool


class FeedStatus(NamedTuple):
    """The position of the last commit in the change feed, and who follows it."""

    position: int
    consumers: Sequence[ConsumerStatus]


class ServerQueries:
    """Reads what an operator has to know of the database, across accounts and without any data."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def database(self) -> DatabaseStatus:
        """Return what the database is, and how much room it takes."""
        return await self._storage.maintenance.status()

    async def feed(self, now: int) -> FeedStatus:
        """Return how far the change feed is, and its consumers."""
        states = dict(await self._storage.feed.states())
        # The index of words may keep its state in a file of its own.
        search = await self._storage.search.state()
        if search is not None:
            states[search.consumer] = search
        # Read after the states: no consumer is then ahead of the feed.
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
