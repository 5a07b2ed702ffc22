"""The task that moves every consumer along the change feed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

import structlog

from prefactor_server.background import repeat
from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.times import DAY_US
from prefactor_server.follower.consumer import Attached
from prefactor_server.follower.lease import Lease
from prefactor_server.follower.progress import Progress, Step
from prefactor_server.follower.signal import CommitSignal
from prefactor_server.follower.slices import Slices, gather_seconds
from prefactor_server.follower.watched_progress import WatchedProgress
from prefactor_server.storage.feed import Feed, Move

_log = structlog.get_logger("prefactor_server")

_POLL_SECONDS: Final = 2.0
"""How often to check for commits of other servers."""
_PRUNE_SECONDS: Final = 60.0
_KEPT_US: Final = DAY_US
"""How long changes that every consumer has seen are kept, so that live events can resume."""
_MOST_KEPT_US: Final = 7 * DAY_US
"""How long changes are kept at most. A consumer that fails for longer is rebuilt."""


class Lag(NamedTuple):
    """The position of a consumer, its lag behind the feed, and since when, in microseconds.

    ``since`` is the time of the first commit that it has not seen, or None if it has seen all.
    """

    position: int
    positions: int
    since: int | None


class Follower:
    """Follows the change feed of a database while ``run`` runs.

    Only one server does this at a time, see ``Lease``. ``holder`` names this server.
    """

    def __init__(
        self,
        feed: Feed,
        consumers: Sequence[Attached],
        signal: CommitSignal,
        *,
        holder: str,
        now_us: Callable[[], int],
    ) -> None:
        self._feed = feed
        self._slices = Slices(feed)
        self._consumers = [
            WatchedProgress(Progress(feed, attached, self._slices)) for attached in consumers
        ]
        self._waiter = signal.subscribe()
        self._lease = Lease(feed, holder, now_us)
        self._lags: dict[str, Lag] = {}
        self._now_us = now_us
        self._next_prune = 0.0
        self._turn_seconds = 0.0

    @property
    def lags(self) -> Mapping[str, Lag]:
        """The latest known lag of each consumer, by name."""
        return self._lags

    async def run(self) -> None:
        """Follow the feed until cancelled, and wait while the database is unreachable."""
        try:
            if self._consumers:
                await repeat(self._step, task="follower", max_retry_seconds=_POLL_SECONDS)
        finally:
            await self.close()

    async def turn(self) -> bool:
        """Apply one slice for each consumer that is behind; return whether there is more to do.

        Raises:
            Unavailable: the database cannot be reached, or cannot take writes now.
        """
        self._slices.forget()
        self._turn_seconds = 0.0
        last = await self.load()
        behind = [watched for watched in self._consumers if await watched.progress.is_behind()]
        await self._measure()
        await self._prune(last)
        due = [watched for watched in behind if watched.is_due]
        if not due or not await self._lease.take():
            return False
        begun = asyncio.get_running_loop().time()
        worked = await self._advance(due)
        self._turn_seconds = asyncio.get_running_loop().time() - begun
        await self._measure()
        return worked

    async def load(self) -> int:
        """Load the states of all consumers; return the position of the last commit."""
        # Before the position of the feed: other servers move all states, and none passes the feed.
        own = [await watched.progress.own_state() for watched in self._consumers]
        status = await self._feed.status()
        for watched, state in zip(self._consumers, own, strict=True):
            await watched.progress.resume(state, status)
        return status.position

    async def rebuild(self) -> None:
        """Request that everything is derived again, by the server that holds the lease."""
        await self.load()
        for watched in self._consumers:
            await watched.progress.rebuild()

    async def is_complete(self) -> bool:
        """Return whether all backfills have finished."""
        await self.load()
        states = [watched.progress.state for watched in self._consumers]
        return all(state is not None and state.backfill is None for state in states)

    async def close(self) -> None:
        """Release the lease, and stop waiting for commits."""
        self._waiter.close()
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await self._lease.release()

    async def _advance(self, due: Sequence[WatchedProgress]) -> bool:
        """Advance consumers by a slice each; return whether there may be more to do at once."""

        async def steps(derive: Callable[[Progress], Awaitable[Step]]) -> list[Step]:
            return [await one.attempt(partial(derive, one.progress)) for one in due]

        together = self._feed.together
        worked = await self._write(await steps(Progress.reset), due)
        worked |= await self._write(await together(partial(steps, Progress.follow)), due)
        worked |= await self._write(await steps(Progress.fill), due)
        worked |= await self._write(await together(partial(steps, Progress.defer)), due)
        for watched in due:
            watched.end_turn()
        return worked

    async def _write(self, steps: Sequence[Step], due: Sequence[WatchedProgress]) -> bool:
        """Write what consumers derived: in the database of the feed, in one transaction."""
        moves = [
            (watched, step.move)
            for watched, step in zip(due, steps, strict=True)
            if step.move is not None
        ]
        shared = [one for one in moves if not one[0].progress.has_own_store]
        if len(shared) > 1 and await self._write_together(shared):
            moves = [one for one in moves if one[0].progress.has_own_store]
        for watched, move in moves:
            await watched.attempt(partial(_written, watched.progress, move))
        return any(step.has_more for step in steps)

    async def _write_together(self, moves: Sequence[tuple[WatchedProgress, Move]]) -> bool:
        """Write in one transaction; return False if nothing was written."""
        try:
            states = await self._feed.advance_all([move for _, move in moves])
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - they are written one by one, which finds the wrong one
            return False
        for (watched, _), state in zip(moves, states, strict=True):
            watched.progress.state = state
        return True

    async def _prune(self, last: int) -> None:
        """Delete old changes, a slice at a time; other servers may do so as well."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_prune:
            return
        states = [watched.progress.state for watched in self._consumers]
        seen = min((0 if state is None else state.position for state in states), default=last)
        now = self._now_us()
        deleted = await self._feed.prune(seen, now - _KEPT_US)
        deleted += await self._feed.prune(last, now - _MOST_KEPT_US)
        if not deleted:
            self._next_prune = loop.time() + _PRUNE_SECONDS

    async def _measure(self) -> None:
        # Consumers are usually at the same position, whose next commit is read once.
        first_after: dict[int, int | None] = {}
        for progress in (watched.progress for watched in self._consumers):
            position = progress.last if progress.state is None else progress.state.position
            since = None
            if position < progress.last:
                known = self._lags.get(progress.name)
                if known is None or known.position != position:
                    if position not in first_after:
                        first = await self._feed.changes(position, 1)
                        first_after[position] = first[0].at if first else None
                    since = first_after[position]
                else:
                    since = known.since
            self._lags[progress.name] = Lag(position, max(progress.last - position, 0), since)

    async def _step(self) -> float:
        worked = await self.turn()
        if not worked and await self._waiter.wait(_POLL_SECONDS):
            return gather_seconds(self._slices.rows, self._turn_seconds)
        return 0.0


async def _written(progress: Progress, move: Move) -> Step:
    await progress.write(move)
    return Step()
