"""One consumer's progress along the feed: what it derives next, and the state after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.change import Change
from prefactor_server.follower.backfill import RESET, START, Cursor, Pending, report
from prefactor_server.follower.consumer import Attached
from prefactor_server.follower.slices import Slices
from prefactor_server.storage.feed import (
    ConsumerState,
    Derived,
    Feed,
    FeedStatus,
    Move,
    StoredRun,
    StoredSpan,
)

_BACKFILL_SPANS: Final = 2000
_BACKFILL_RUNS: Final = 50
# A backfill needs the undelivered changes of the feed. If there are more than this, it waits.
_MAX_PENDING: Final = 20_000


class Step(NamedTuple):
    """What a consumer derived, or None; and whether there may be more to do at once."""

    move: Move | None = None
    has_more: bool = False


class _Found(NamedTuple):
    """A run that the walk has reached, with some of its spans, and whether these are its first."""

    run: StoredRun
    spans: Sequence[StoredSpan]
    first: bool


class Progress:
    """Advances one consumer, and caches its stored state.

    ``reset``, ``follow``, ``fill`` and ``defer`` only read, and return what is to be written.
    ``follow`` and ``defer`` read only from the database of the feed.
    """

    def __init__(self, feed: Feed, attached: Attached, slices: Slices) -> None:
        self._feed = feed
        self._slices = slices
        self._attached = attached
        self._consumer = attached.consumer
        self._store = feed if attached.store is None else attached.store
        self.has_own_store = attached.store is not None
        self.name = attached.consumer.name
        self.state: ConsumerState | None = None
        self.last = 0

    async def own_state(self) -> ConsumerState | None:
        """Return the state in the consumer's own store, if it has one."""
        own = self._attached.store
        return None if own is None else (await own.states()).get(self.name)

    async def resume(self, own: ConsumerState | None, status: FeedStatus) -> None:
        """Continue from the stored state, or store an initial one.

        ``own`` is the state in the consumer's own store, read before the status of the feed.
        A new consumer begins at the last commit, and a backfill adds earlier rows. A consumer whose
        position is ahead of the feed belongs to another copy of the database, and one whose
        position is before the feed's start was stopped for too long. Both are rebuilt.
        """
        last = status.position
        state = own if self.has_own_store else status.states.get(self.name)
        if state is None:
            state = await self._store.begin(ConsumerState(self.name, last, str(START)))
        elif state.backfill != RESET and not status.pruned_to <= state.position <= last:
            again = state._replace(position=last, backfill=RESET)
            state = await self._store.advance(state, again, Derived())
        self.state = state
        self.last = last

    async def rebuild(self) -> None:
        """Request that everything is derived again, unless that is in progress."""
        while (state := self.state) is not None and state.backfill is None:
            await self.write(Move(state, state._replace(backfill=RESET), Derived()))
            await self._reload_if_moved()

    async def _reload_if_moved(self) -> None:
        """Read the state again if another server has advanced it."""
        if self.state is None:
            self.state = (await self._store.states()).get(self.name)

    async def is_behind(self) -> bool:
        """Return whether there is anything to do."""
        state = self.state
        if state is None or state.position < self.last or state.backfill is not None:
            return True
        return await self._consumer.has_deferred()

    async def write(self, move: Move) -> None:
        """Write what was derived, unless another server has moved the state."""
        # None if another server moved it: nothing was written, and the state is read again.
        self.state = await self._store.advance(*move)

    async def reset(self) -> Step:
        """Delete some of the rows, if everything is to be derived again."""
        state = self.state
        if state is None or state.backfill != RESET:
            return Step()
        derived = await self._consumer.reset()
        if derived is not None:
            return Step(Move(state, state, derived), has_more=True)
        # The feed reports commits from here on, and the walk everything before.
        position = await self._feed.position()
        begun = state._replace(position=position, backfill=str(START))
        return Step(Move(state, begun, Derived()), has_more=True)

    async def follow(self) -> Step:
        """Apply the next slice of the feed."""
        state = self.state
        if state is None or state.backfill == RESET:
            return Step(has_more=True)
        if state.position >= self.last:
            return Step()
        changes: Sequence[Change] = await self._slices.after(state.position)
        if not changes:
            return Step()
        position = changes[-1].position
        if state.backfill is not None:
            cursor = Cursor.parse(state.backfill)
            parts = [cursor.passed(change) for change in changes]
            changes = [part for part in parts if part is not None]
        move = await self._applied(state, state._replace(position=position), changes)
        return Step(move, has_more=position < self.last)

    async def fill(self) -> Step:
        """Backfill the next runs."""
        state = self.state
        if state is None or state.backfill in {None, RESET}:
            return Step()
        found, following = await self._next(Cursor.parse(str(state.backfill)))
        # Read after the rows, to include every undelivered change that they show.
        pending = await self._pending(state.position)
        if pending is None:
            return Step()
        changes = [
            report(state.position, run, spans, pending, first=first) for run, spans, first in found
        ]
        after = state._replace(backfill=None if following is None else str(following))
        move = await self._applied(
            state, after, [change for change in changes if change is not None]
        )
        return Step(move, has_more=True)

    async def defer(self) -> Step:
        """Derive what ``Consumer.apply`` has deferred, once no slice of the feed is waiting."""
        state = self.state
        if state is None or state.backfill == RESET or state.position < self.last:
            return Step()
        derived = await self._consumer.deferred()
        return Step() if derived is None else Step(Move(state, state, derived), has_more=True)

    async def _next(self, cursor: Cursor) -> tuple[list[_Found], Cursor | None]:
        """Return the rows after a cursor, and the next cursor; None at the end."""
        found: list[_Found] = []
        room = _BACKFILL_SPANS
        runs = await self._feed.runs_from(cursor.account_id, cursor.run_id, _BACKFILL_RUNS)
        for run in runs:
            first = (run.account_id, run.id) != (cursor.account_id, cursor.run_id)
            if not first and cursor.span_id is None:
                continue
            after = "" if first or cursor.span_id is None else cursor.span_id
            spans = await self._feed.spans_after(run.account_id, run.id, after, room)
            found.append(_Found(run, spans, first))
            room -= len(spans)
            if not room:
                return found, Cursor(run.account_id, run.id, spans[-1].id)
        if len(runs) < _BACKFILL_RUNS:
            return found, None
        return found, Cursor(runs[-1].account_id, runs[-1].id)

    async def _pending(self, position: int) -> Pending | None:
        """Return the changes after a position, or None if there are too many."""
        changes: list[Change] = []
        room = _MAX_PENDING
        while some := await self._feed.changes(position, room, settled=False):
            changes += some
            room -= sum(change.weight for change in some)
            if room <= 0:
                return None
            position = some[-1].position
        return Pending.of(changes)

    async def _applied(
        self, before: ConsumerState, after: ConsumerState, changes: Sequence[Change]
    ) -> Move:
        derived = await self._consumer.apply(changes) if changes else Derived()
        return Move(before, after, derived)
