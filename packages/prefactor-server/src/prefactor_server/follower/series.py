"""The consumer that counts runs and spans into the rollups that series are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.change import (
    END_REVISED,
    RUN_DELETED,
    RUN_ENDED,
    SPANS_REVISED,
    Change,
)
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.series.bucket import BUCKETS
from prefactor_server.domain.series.figures import FinishedSpan
from prefactor_server.domain.series.rollup import (
    ALL_ENVIRONMENTS,
    CountedEnd,
    CountedLateSpan,
    Rollup,
    RollupDue,
    RollupKey,
    added_by,
    is_counted,
    is_late,
    keys_to_read,
    may_end_again,
    merged,
    rewritten,
)
from prefactor_server.domain.times import MINUTE_US
from prefactor_server.follower.consumer import Consumer
from prefactor_server.storage.feed import Deleted, Derived, Feed
from prefactor_server.storage.series import SeriesStorage

NAME: Final = "series"

_EXPIRED_SLICE: Final = 200
_RESET_SLICE: Final = 1000
_DUE_SLICE: Final = 20
_LOOK_EVERY_US: Final = 10 * MINUTE_US


class _Ends(NamedTuple):
    """Runs to count, the ends with which they were counted before, and the ends to store."""

    counted: list[AgentInstance]
    replaced: list[AgentInstance]
    known: list[CountedEnd]

    def add(self, run: AgentInstance, before: CountedEnd | None) -> None:
        """Count a run with the end that it has now, in place of an earlier one."""
        self.counted.append(run)
        if before is not None:
            self.replaced.append(before.apply_to(run))
        if before is not None or may_end_again(run):
            self.known.append(CountedEnd.of(run))


class SeriesConsumer(Consumer):
    """Counts each run that ended and each span that finished once; see ``domain.series``.

    Rollups are read, added to and written back. That is safe although several servers may do it at
    a time, because what was derived is written only if the consumer's state has not moved.
    """

    name = NAME

    def __init__(self, storage: SeriesStorage, feed: Feed, now_us: Callable[[], int]) -> None:
        self._storage = storage
        self._feed = feed
        self._now_us = now_us
        self._look_at = 0
        self._maybe_due = True

    async def apply(self, changes: Sequence[Change]) -> Derived:
        """Return the rollups with the changes added, and the deletion of expired ones."""
        now = self._now_us()
        spans, late = await self._spans(changes, now)
        ends = await self._ends(changes)
        added = added_by(ends.counted, spans, now)
        removed = added_by(ends.replaced, (), now)
        stored = await self._storage.rollups_by_key(keys_to_read(added, removed))
        rollups = merged(added, stored, removed)
        deleted = [
            Deleted(kind, (change.account_id, change.agent_instance_id))
            for change in changes
            if change.flags & RUN_DELETED
            for kind in (CountedLateSpan, CountedEnd)
        ]
        return Derived(
            upserted=(*(row for row in rollups if not row.is_empty), *late, *ends.known),
            deleted=(
                *(Deleted(Rollup, row.key) for row in rollups if row.is_empty),
                *deleted,
                *await self._expired(now),
            ),
        )

    async def reset(self) -> Derived | None:
        """Return the deletion of some rollups. The counts of deleted runs are lost with them."""
        for kind in (Rollup, CountedLateSpan, CountedEnd):
            if some := await self._feed.some(kind, _RESET_SLICE):
                return Derived(deleted=some)
        return None

    async def has_deferred(self) -> bool:
        """Return whether rollups of an earlier version are left. Only a migration marks them."""
        self._maybe_due = self._maybe_due and bool(await self._feed.some(RollupDue, 1))
        return self._maybe_due

    async def deferred(self) -> Derived | None:
        """Return some rollups of an earlier version in the form of this one."""
        if not self._maybe_due:
            return None
        due = await self._feed.some(RollupDue, _DUE_SLICE)
        keys = [RollupKey._make((*one.key, ALL_ENVIRONMENTS)) for one in due]
        stored = await self._storage.rollups_by_key(keys)
        return Derived(upserted=rewritten(stored), deleted=due) if due else None

    async def _ends(self, changes: Sequence[Change]) -> _Ends:
        """Return the runs to count, and the ends with which some of them were counted before."""
        first, revised = _runs_with(RUN_ENDED, changes), _runs_with(END_REVISED, changes)
        ends = _Ends([], [], [])
        for account_id in first.keys() | revised.keys():
            ended, again = first.get(account_id, ()), revised.get(account_id, ())
            known: Mapping[str, CountedEnd] = {}
            if again:
                rows = await self._storage.counted_ends(account_id, again)
                known = {row.agent_instance_id: row for row in rows}
            # Any other revised run was counted with its final end, or is left to the backfill.
            ids = sorted({*ended, *known})
            for run in await self._storage.runs_by_id(account_id, ids):
                ends.add(run, known.get(run.id))
        return ends

    async def _spans(
        self, changes: Sequence[Change], now: int
    ) -> tuple[Sequence[FinishedSpan], Sequence[CountedLateSpan]]:
        """Return the spans to count, and which of them were finished late."""
        finished = _by_account((c.account_id, c.finished_ids) for c in changes)
        revised = _by_account(
            (c.account_id, c.span_ids) for c in changes if c.flags & SPANS_REVISED
        )
        counted: list[FinishedSpan] = []
        late: list[CountedLateSpan] = []
        for account_id in finished.keys() | revised.keys():
            first = set(finished.get(account_id, ()))
            ids = sorted(first.union(revised.get(account_id, ())))
            spans = await self._storage.spans_by_id(account_id, ids)
            known = await self._known(account_id, [span for span in spans if is_late(span)])
            for span in spans:
                if not is_counted(span) or span.id in known:
                    continue
                if is_late(span):
                    late.append(CountedLateSpan(account_id, span.agent_instance_id, span.id, now))
                elif span.id not in first:
                    continue
                counted.append(span)
        return counted, late

    async def _known(self, account_id: str, late: Sequence[FinishedSpan]) -> set[str]:
        """Return which of the spans that were finished late have been counted."""
        if not late:
            return set()
        runs = sorted({span.agent_instance_id for span in late})
        ids = [span.id for span in late]
        rows = await self._storage.counted_late(account_id, runs, ids)
        return {row.span_id for row in rows}

    async def _expired(self, now: int) -> Sequence[Deleted]:
        """Return the deletion of some expired rollups. They are searched for every ten minutes."""
        if now < self._look_at:
            return ()
        starts = {one.seconds: one.kept_from(now) for one in BUCKETS}
        kept_from = {seconds: start for seconds, start in starts.items() if start is not None}
        keys = await self._storage.expired(kept_from, _EXPIRED_SLICE)
        if len(keys) < _EXPIRED_SLICE:
            self._look_at = now + _LOOK_EVERY_US
        return [Deleted(Rollup, key) for key in keys]


def _runs_with(flag: int, changes: Iterable[Change]) -> Mapping[str, Sequence[str]]:
    """Return the runs of changes with a flag, by account."""
    return _by_account((c.account_id, (c.agent_instance_id,)) for c in changes if c.flags & flag)


def _by_account(named: Iterable[tuple[str, Sequence[str]]]) -> Mapping[str, Sequence[str]]:
    """Return the ids by account, each once."""
    by_account: dict[str, dict[str, None]] = {}
    for account_id, ids in named:
        if ids:
            by_account.setdefault(account_id, {}).update(dict.fromkeys(ids))
    return {account_id: [*ids] for account_id, ids in by_account.items()}
