"""The change feed in a database that several servers may write to.

A commit's position is derived from its transaction id. Transactions do not commit in the order of
their ids, so the feed is read only up to the oldest running transaction. Everything below that is
final.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

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
from prefactor_server.storage.postgres.announcements import Announcements
from prefactor_server.storage.postgres.connection import RetryingPool
from prefactor_server.storage.postgres.derived import some_derived, write_derived
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.load import load
from prefactor_server.storage.postgres.write import arguments
from prefactor_server.storage.postgres.write_function import write_function
from prefactor_server.storage.sql import load_sql

T = TypeVar("T")

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.postgres.sql", "feed.sql")
# Per slice, because each change may have thousands of ids. A larger commit is read as a whole.
_MAX_ROWS: Final = 200


async def append(connection: Connection, rows: Sequence[FeedRow], now: int) -> None:
    """Add a commit to the feed, within its transaction."""
    if rows:
        await connection.execute(_SQL["feed.append"], now, *zip(*rows, strict=True))


async def raise_shift(connection: Connection) -> None:
    """Make new positions higher than the stored ones, even in a restored database."""
    too_low: int | None = await connection.fetchval(_SQL["feed.too_low"])
    if too_low is not None and too_low > 0:
        await connection.execute(_SQL["feed.shift"], too_low)


async def reached(connection: Connection) -> int:
    """Return a position that contains everything visible on a connection to the primary."""
    position: int = await connection.fetchval(_SQL["feed.reached"])
    return position


class PostgresFeed:
    """See ``Feed``."""

    def __init__(
        self, writing: RetryingPool, reading: RetryingPool, announcements: Announcements
    ) -> None:
        self._writing = writing
        self._reading = reading
        self._announcements = announcements

    async def changes(self, after: int, limit: int, *, settled: bool = True) -> Sequence[Change]:
        """See ``Feed.changes``."""
        query = _SQL["feed.settled" if settled else "feed.all"]
        records = await self._reading.run(
            lambda connection: connection.fetch(query, after, min(limit, _MAX_ROWS))
        )
        return whole_commits(records, limit)

    async def status(self) -> FeedStatus:
        """See ``Feed.status``."""
        return await self._reading.run(_status)

    async def together(self, reads: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """See ``Feed.together``. Reads have no common overhead here."""
        return await reads()

    async def position(self) -> int:
        """See ``Feed.position``."""
        return await self._reading.run(lambda connection: connection.fetchval(_SQL["feed.last"]))

    async def pruned_to(self) -> int:
        """See ``Feed.pruned_to``."""
        return await self._reading.run(
            lambda connection: connection.fetchval(_SQL["feed.pruned_to"])
        )

    async def announce(self) -> None:
        """See ``Feed.announce``."""
        await self._reading.run(self._announcements.announce)

    async def listen(self, callback: Callable[[], None]) -> None:
        """See ``Feed.listen``; uses a separate connection."""
        await self._announcements.listen(callback)

    async def prune(self, to: int, before: int) -> int:
        """See ``Feed.prune``."""
        return await self._writing.run(partial(_prune, to, before))

    async def states(self) -> Mapping[str, ConsumerState]:
        """See ``Feed.states``."""
        return await self._reading.run(_states)

    async def begin(self, state: ConsumerState) -> ConsumerState:
        """See ``Feed.begin``."""
        return await self._writing.run(partial(_begin, state))

    async def advance(
        self, before: ConsumerState, after: ConsumerState, derived: Derived
    ) -> ConsumerState | None:
        """See ``Feed.advance``. Returns None if an earlier attempt was lost but had committed."""
        (state,) = await self.advance_all([Move(before, after, derived)])
        return state

    async def advance_all(self, moves: Sequence[Move]) -> Sequence[ConsumerState | None]:
        """See ``Feed.advance_all``."""
        return await self._writing.run(partial(_advance_all, moves))

    async def some(self, kind: type[Any], limit: int) -> Sequence[Deleted]:
        """See ``Feed.some``."""
        return await self._reading.run(partial(some_derived, kind, limit))

    async def take_lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """See ``Feed.take_lease``."""
        done = await self._writing.run(
            lambda connection: connection.execute(_SQL["lease.take"], name, holder, now, until)
        )
        return not done.endswith(" 0")

    async def release_lease(self, name: str, holder: str) -> None:
        """See ``Feed.release_lease``."""
        await self._writing.run(
            lambda connection: connection.execute(_SQL["lease.release"], name, holder)
        )

    async def runs_from(self, account_id: str, run_id: str, limit: int) -> Sequence[StoredRun]:
        """See ``Feed.runs_from``."""
        records = await self._reading.run(
            lambda connection: connection.fetch(_SQL["backfill.runs"], account_id, run_id, limit)
        )
        return [StoredRun._make(record) for record in records]

    async def spans_after(
        self, account_id: str, run_id: str, span_id: str, limit: int
    ) -> Sequence[StoredSpan]:
        """See ``Feed.spans_after``."""
        query = _SQL["backfill.spans"]
        records = await self._reading.run(
            lambda connection: connection.fetch(query, account_id, run_id, span_id, limit)
        )
        return [StoredSpan._make(record) for record in records]


async def _prune(to: int, before: int, connection: Connection) -> int:
    async with connection.transaction():
        record = await connection.fetchrow(_SQL["feed.prune"], to, before, PRUNE_SLICE)
        count, last = (0, None) if record is None else record
        if last is not None:
            await connection.execute(_SQL["feed.set_pruned_to"], last)
        return int(count)


async def _begin(state: ConsumerState, connection: Connection) -> ConsumerState:
    await connection.execute(_SQL["consumer.begin"], *state)
    record = await connection.fetchrow(_SQL["consumer.one"], state.consumer)
    return state if record is None else ConsumerState._make(record)


async def _states(connection: Connection) -> Mapping[str, ConsumerState]:
    found = [ConsumerState._make(one) for one in await connection.fetch(_SQL["consumer.all"])]
    return {state.consumer: state for state in found}


async def _status(connection: Connection) -> FeedStatus:
    return FeedStatus(
        await _states(connection),
        await connection.fetchval(_SQL["feed.pruned_to"]),
        await connection.fetchval(_SQL["feed.last"]),
    )


async def _advance_all(
    moves: Sequence[Move], connection: Connection
) -> Sequence[ConsumerState | None]:
    async with connection.transaction():
        # First, so that other servers with the same slice wait, and then find it applied.
        states = [await _advance(move, connection) for move in moves]
        moved = [move.derived for move, state in zip(moves, states, strict=True) if state]
        # Runs are locked before the rows derived from them, as by their deletion.
        for derived in moved:
            await _decide(derived, connection)
        for derived in moved:
            await write_derived(connection, derived)
    return states


async def _advance(move: Move, connection: Connection) -> ConsumerState | None:
    before, after, _ = move
    done = await connection.execute(
        _SQL["consumer.advance"], before.consumer, before.revision, after.position, after.backfill
    )
    return None if done.endswith(" 0") else after._replace(revision=before.revision + 1)


async def _decide(derived: Derived, connection: Connection) -> None:
    if derived.decide is None:
        return
    loaded = await load(connection, derived.needs)
    derived.decide(loaded.snapshots)
    changes = arguments(loaded)
    if changes is not None:
        await connection.execute(write_function().call, uuid.uuid4(), *changes)
