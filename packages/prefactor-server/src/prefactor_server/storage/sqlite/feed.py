"""The change feed in a database file."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from prefactor_server.domain.change import Change
from prefactor_server.storage.feed import (
    PRUNE_SLICE,
    ConsumerState,
    Deleted,
    Derived,
    FeedStatus,
    Move,
    StoredRun,
    StoredSpan,
)
from prefactor_server.storage.feed_rows import FeedRow, whole_commits
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.derived import some_derived, write_derived
from prefactor_server.storage.sqlite.named_statements import RunOnThread
from prefactor_server.storage.sqlite.statements import Statement

T = TypeVar("T")

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "feed.sql")

_INSERT: Final = Statement(
    7,
    "INSERT INTO feed_change "
    "(position, at, account_id, agent_instance_id, flags, finished, span_ids) VALUES {rows}",
)


class RunTogether(Protocol):
    """Runs a coroutine that awaits only reads, on one thread."""

    def __call__(self, reads: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """Return the result of the coroutine."""
        ...


def append(connection: sqlite3.Connection, rows: Sequence[FeedRow], now: int) -> None:
    """Add a commit to the feed, within its transaction."""
    if rows:
        position = _last(connection) + 1
        _INSERT.run(connection, [(position, now, *row) for row in rows])


class SqliteFeed:
    """See ``Feed``.

    ``on_writer`` runs work on the writer thread, inside a transaction; ``on_reader`` on a reader
    thread. ``together`` runs several reads on one. ``decide`` loads, decides and writes like a
    batch, within such a transaction.
    """

    def __init__(
        self,
        on_writer: RunOnThread,
        on_reader: RunOnThread,
        together: RunTogether,
        decide: Callable[[Derived], object],
    ) -> None:
        self._on_writer = on_writer
        self._on_reader = on_reader
        self._together = together
        self._decide = decide

    async def changes(
        self,
        after: int,
        limit: int,
        *,
        settled: bool = True,  # noqa: ARG002 - with one writer, every commit is settled
    ) -> Sequence[Change]:
        """See ``Feed.changes``."""
        return await self._on_reader(lambda connection: _changes(connection, after, limit))

    async def status(self) -> FeedStatus:
        """See ``Feed.status``."""
        return await self._on_reader(
            lambda connection: FeedStatus(
                _states(connection), _pruned_to(connection), _last(connection)
            )
        )

    async def together(self, reads: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """See ``Feed.together``."""
        return await self._together(reads)

    async def position(self) -> int:
        """See ``Feed.position``."""
        return await self._on_reader(_last)

    async def pruned_to(self) -> int:
        """See ``Feed.pruned_to``."""
        return await self._on_reader(_pruned_to)

    async def announce(self) -> None:
        """Do nothing, because a file has only one server."""

    async def listen(self, callback: Callable[[], None]) -> None:
        """See ``Feed.listen``; a file has only one server."""

    async def prune(self, to: int, before: int) -> int:
        """See ``Feed.prune``."""
        return await self._on_writer(lambda connection: _prune(connection, to, before))

    async def states(self) -> Mapping[str, ConsumerState]:
        """See ``Feed.states``."""
        return await self._on_reader(_states)

    async def begin(self, state: ConsumerState) -> ConsumerState:
        """See ``Feed.begin``."""

        def begin(connection: sqlite3.Connection) -> ConsumerState:
            connection.execute(_SQL["consumer.begin"], state)
            return _state(connection, state.consumer)

        return await self._on_writer(begin)

    async def advance(
        self, before: ConsumerState, after: ConsumerState, derived: Derived
    ) -> ConsumerState | None:
        """See ``Feed.advance``."""
        (state,) = await self.advance_all([Move(before, after, derived)])
        return state

    async def advance_all(self, moves: Sequence[Move]) -> Sequence[ConsumerState | None]:
        """See ``Feed.advance_all``."""
        return await self._on_writer(
            lambda connection: [self._advance(connection, move) for move in moves]
        )

    async def some(self, kind: type[Any], limit: int) -> Sequence[Deleted]:
        """See ``Feed.some``."""
        return await self._on_reader(lambda connection: some_derived(connection, kind, limit))

    async def take_lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """See ``Feed.take_lease``."""
        parameters = {"name": name, "holder": holder, "now": now, "until": until}
        return await self._on_writer(
            lambda connection: connection.execute(_SQL["lease.take"], parameters).rowcount > 0
        )

    async def release_lease(self, name: str, holder: str) -> None:
        """See ``Feed.release_lease``."""
        parameters = {"name": name, "holder": holder}
        await self._on_writer(
            lambda connection: connection.execute(_SQL["lease.release"], parameters).rowcount
        )

    async def runs_from(self, account_id: str, run_id: str, limit: int) -> Sequence[StoredRun]:
        """See ``Feed.runs_from``."""
        parameters = {"account_id": account_id, "id": run_id, "limit": limit}
        return await self._on_reader(
            lambda connection: _all(
                StoredRun._make, connection.execute(_SQL["backfill.runs"], parameters)
            )
        )

    async def spans_after(
        self, account_id: str, run_id: str, span_id: str, limit: int
    ) -> Sequence[StoredSpan]:
        """See ``Feed.spans_after``."""
        parameters = {"account_id": account_id, "run_id": run_id, "id": span_id, "limit": limit}
        return await self._on_reader(
            lambda connection: _all(
                StoredSpan._make, connection.execute(_SQL["backfill.spans"], parameters)
            )
        )

    def _advance(self, connection: sqlite3.Connection, move: Move) -> ConsumerState | None:
        before, after, derived = move
        parameters = {
            "name": before.consumer,
            "revision": before.revision,
            "position": after.position,
            "backfill": after.backfill,
        }
        if not connection.execute(_SQL["consumer.advance"], parameters).rowcount:
            return None
        self._decide(derived)
        write_derived(connection, derived)
        return after._replace(revision=before.revision + 1)


def _all(make: Callable[[Iterable[Any]], T], records: Iterable[Sequence[Any]]) -> list[T]:
    return [make(record) for record in records]


def _last(connection: sqlite3.Connection) -> int:
    (position,) = connection.execute(_SQL["feed.last"]).fetchone()
    return int(position)


def _pruned_to(connection: sqlite3.Connection) -> int:
    (position,) = connection.execute(_SQL["feed.pruned_to"]).fetchone()
    return int(position)


def _changes(connection: sqlite3.Connection, after: int, limit: int) -> Sequence[Change]:
    cursor = connection.execute(_SQL["feed.changes"], {"after": after})
    try:
        return whole_commits(cursor, limit)
    finally:
        # A cursor that was not read to its end would keep the WAL from being truncated.
        cursor.close()


def _prune(connection: sqlite3.Connection, to: int, before: int) -> int:
    found = connection.execute(_SQL["feed.prunable"], {"to": to, "slice": PRUNE_SLICE})
    old = [position for position, at in found if at < before]
    if not old:
        return 0
    deleted: int = connection.execute(_SQL["feed.prune"], {"to": old[-1]}).rowcount
    connection.execute(_SQL["feed.set_pruned_to"], {"to": old[-1]})
    return deleted


def _states(connection: sqlite3.Connection) -> Mapping[str, ConsumerState]:
    found = _all(ConsumerState._make, connection.execute(_SQL["consumer.all"]))
    return {state.consumer: state for state in found}


def _state(connection: sqlite3.Connection, name: str) -> ConsumerState:
    return ConsumerState._make(connection.execute(_SQL["consumer.one"], {"name": name}).fetchone())
