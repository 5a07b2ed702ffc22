"""One consumer's progress along the feed: each slice is written with the state after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.change import Change
from prefactor_server.follower.backfill import RESET, START, Cursor, Pending, report
from prefactor_server.follower.consumer import Attached
from prefactor_server.follower.slices import Slices
from prefactor_server.storage.feed import ConsumerState, Derived, Feed, StoredRun, StoredSpan

_BACKFILL_SPANS: Final = 2000
_BACKFILL_RUNS: Final = 50
# A backfill needs the undelivered changes of the feed. If there are more than this, it waits.
_MAX_PENDING: Final = 20_000


class _Found(NamedTuple):
    """A run that the walk has reached, with some of its spans, and whether these are its first."""

    run: StoredRun
    spans: Sequence[StoredSpan]
    first: bool


class Progress:
    """Advances one consumer, and caches its stored state."""

    def __init__(self, feed: Feed, attached: Attached, slices: Slices) -> None:
        self._feed = feed
        self._slices = slices
        self._attached = attached
        self._consumer = attached.consumer
        self._store = feed if attached.store is None else attached.store
        self.name = attached.consumer.name
        self.state: ConsumerState | None = None
        self.last = 0

    async def stored(self, states: Mapping[str, ConsumerState]) -> ConsumerState | None:
        """Return the stored state; ``states`` are those in the database of the feed."""
        own = self._attached.store
        return (states if own is None else await own.states()).get(self.name)

    async def resume(self, state: ConsumerState | None, *, last: int, pruned_to: int) -> None:
        """Continue from the stored state, or store an initial one.

        A new consumer begins at the last commit, and a backfill adds earlier rows. A consumer whose
        position is ahead of the feed belongs to another copy of the database, and one whose
        position is before the feed's start was stopped for too long. Both are rebuilt.
        """
        if state is None:
            state = await self._store.begin(ConsumerState(self.name, last, str(START)))
        elif state.backfill != RESET and not pruned_to <= state.position <= last:
            again = state._replace(position=last, backfill=RESET)
            state = await self._store.advance(state, again, Derived())
        self.state = state
        self.last = last

    async def rebuild(self) -> None:
        """Request that everything is derived again, unless that is in progress."""
        while (state := self.state) is not None and state.backfill is None:
            await self._advance(state._replace(backfill=RESET), Derived())
            await self._reload_if_moved()

    async def _reload_if_moved(self) -> None:
        """Read the state again if another server has advanced it."""
        if self.state is None:
            self.state = await self.stored(await self._feed.states())

    async def is_behind(self) -> bool:
        """Return whether there is anything to do."""
        state = self.state
        if state is None or state.position < self.last or state.backfill is not None:
            return True
        return await self._consumer.has_deferred()

    async def step(self) -> bool:
        """Apply one slice; return whether there may be more to do at once."""
        state = self.state
        if state is None:
            return True
        if state.backfill == RESET:
            return await self._reset(state)
        worked = state.position < self.last and await self._follow(state)
        if self.state is not None and self.state.backfill is not None:
            worked = await self._fill(self.state, Cursor.parse(self.state.backfill)) or worked
        return await self._write_deferred() or worked

    async def _reset(self, state: ConsumerState) -> bool:
        derived = await self._consumer.reset()
        if derived is not None:
            await self._advance(state, derived)
        else:
            # The feed reports commits from here on, and the walk everything before.
            position = await self._feed.position()
            await self._advance(state._replace(position=position, backfill=str(START)), Derived())
        return True

    async def _follow(self, state: ConsumerState) -> bool:
        changes: Sequence[Change] = await self._slices.after(state.position)
        if not changes:
            return False
        position = changes[-1].position
        if state.backfill is not None:
            cursor = Cursor.parse(state.backfill)
            parts = [cursor.passed(change) for change in changes]
            changes = [part for part in parts if part is not None]
        await self._apply(state._replace(position=position), changes)
        return position < self.last

    async def _fill(self, state: ConsumerState, cursor: Cursor) -> bool:
        """Backfill the next runs; return whether the walk advanced."""
        found, following = await self._next(cursor)
        # Read after the rows, to include every undelivered change that they show.
        pending = await self._pending(state.position)
        if pending is None:
            return False
        changes = [
            report(state.position, run, spans, pending, first=first) for run, spans, first in found
        ]
        backfill = None if following is None else str(following)
        await self._apply(
            state._replace(backfill=backfill), [change for change in changes if change is not None]
        )
        return True

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

    async def _write_deferred(self) -> bool:
        derived = await self._consumer.deferred()
        if derived is None or self.state is None:
            return False
        await self._advance(self.state, derived)
        return True

    async def _apply(self, after: ConsumerState, changes: Sequence[Change]) -> None:
        derived = await self._consumer.apply(changes) if changes else Derived()
        await self._advance(after, derived)

    async def _advance(self, after: ConsumerState, derived: Derived) -> None:
        if self.state is not None:
            # None if another server moved it: nothing was written, and the state is read again.
            self.state = await self._store.advance(self.state, after, derived)
