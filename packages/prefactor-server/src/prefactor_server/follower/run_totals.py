"""The consumer that keeps the totals of each run: tokens, cost and risk.

A run is counted as a whole, which costs more the more spans it has. So an ended run is counted at
once. An active one is marked as due, and counted after its changes have gathered, when that is a
small part of the server's work. When prices or profiles change, cost and risk are computed again
from the counted tokens, without reading spans.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from prefactor_server.domain.change import BACKFILLED, RUN_CREATED, RUN_DELETED, RUN_ENDED, Change
from prefactor_server.domain.risk.risk_score import DataRisk
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.cost import PriceTable
from prefactor_server.domain.runs.run_total import (
    RUN_TOTALS,
    RunTotal,
    RunTotalDue,
    RunUse,
    read_usage,
    total_of,
)
from prefactor_server.follower.consumer import Consumer
from prefactor_server.queries.risk import RiskQueries
from prefactor_server.storage.base import Storage
from prefactor_server.storage.feed import Deleted, Derived

T = TypeVar("T")

_DUE_RUNS: Final = 50
_SPANS_AT_ONCE: Final = 20_000
"""How many spans are counted together; a run with more is counted alone."""
_REFRESHED: Final = 200
_RESET_ROWS: Final = 500
# The consumer spends one part in twenty of its time on counting open runs again.
_SHARE: Final = 20
_GATHER_SECONDS: Final = 1.5
"""How long changes of open runs gather before these are counted again."""
_REFRESH_SECONDS: Final = 5.0
"""How often to look for changed prices and profiles."""


class _Work(NamedTuple):
    """Deferred work: runs to count, or totals to compute again from their tokens."""

    due: Sequence[RunTotalDue] = ()
    outdated: Sequence[RunTotal] = ()


class RunTotalsConsumer(Consumer):
    """Derives ``RunTotal`` rows."""

    name = RUN_TOTALS

    def __init__(self, storage: Storage, prices: PriceTable) -> None:
        self._storage = storage
        self._totals = storage.run_totals
        self._risks = RiskQueries(storage)
        self._prices = prices
        self._not_before = 0.0
        self._due_since: float | None = None
        self._next_refresh = 0.0

    async def apply(self, changes: Sequence[Change]) -> Derived:
        """Count runs that ended, and mark open runs as due."""
        now: dict[tuple[str, str], None] = {}
        later: dict[tuple[str, str], int] = {}
        deleted: set[tuple[str, str]] = set()
        for change in changes:
            run = (change.account_id, change.agent_instance_id)
            if change.flags & RUN_DELETED:
                deleted.add(run)
                # A run that is registered again has no more than what follows.
                now.pop(run, None)
                later.pop(run, None)
            elif change.flags & BACKFILLED:
                # A backfill names the spans in parts, and all of them are counted with the first
                # part.
                if change.flags & RUN_CREATED:
                    now[run] = None
            elif change.flags & RUN_ENDED:
                now[run] = None
            else:
                later.setdefault(run, change.at)
        counted, left = await self._count(now)
        later |= dict.fromkeys(left, 0)
        waiting = {run: since for run, since in later.items() if run not in counted}
        due = await self._new_due(waiting)
        return Derived(
            upserted=[*counted.values(), *due],
            deleted=[
                *(Deleted(RunTotal, run) for run in deleted - counted.keys()),
                *(Deleted(RunTotalDue, run) for run in (deleted | counted.keys()) - waiting.keys()),
            ],
        )

    async def reset(self) -> Derived | None:
        """See ``Consumer.reset``."""
        for kind in (RunTotalDue, RunTotal):
            if rows := await self._storage.feed.some(kind, _RESET_ROWS):
                return Derived(deleted=rows)
        return None

    async def has_deferred(self) -> bool:
        """See ``Consumer.has_deferred``."""
        return any(await self._deferred_work())

    async def deferred(self) -> Derived | None:
        """See ``Consumer.deferred``."""
        # Read again, because these runs may have been counted since.
        work = await self._deferred_work()
        if not any(work):
            return None
        begun = time.monotonic()
        derived = await (self._recount(work.due) if work.due else self._refresh(work.outdated))
        now = time.monotonic()
        self._not_before = now + (now - begun) * _SHARE
        return derived

    async def _deferred_work(self) -> _Work:
        now = time.monotonic()
        if now < self._not_before:
            return _Work()
        due = await self._totals.due(_DUE_RUNS)
        if not due:
            self._due_since = None
        elif self._due_since is None:
            self._due_since = now
        if self._due_since is not None and now >= self._due_since + _GATHER_SECONDS:
            return _Work(due=due)
        if now < self._next_refresh:
            return _Work()
        outdated = await self._outdated()
        if not outdated:
            then = time.monotonic()
            self._next_refresh = then + max(_REFRESH_SECONDS, (then - now) * _SHARE)
        return _Work(outdated=outdated)

    async def _new_due(self, runs: Mapping[tuple[str, str], int]) -> list[RunTotalDue]:
        """Return the marks of runs that are not marked as due yet."""
        due: list[RunTotalDue] = []
        for account_id, ids in _by_account(runs).items():
            known = await self._totals.due_among(account_id, ids)
            due += [
                RunTotalDue(account_id, run_id, runs[account_id, run_id])
                for run_id in ids
                if run_id not in known
            ]
        return due

    async def _recount(self, due: Sequence[RunTotalDue]) -> Derived:
        counted, left = await self._count((one.account_id, one.id) for one in due)
        runs = [(one.account_id, one.id) for one in due]
        if not left and len(due) < _DUE_RUNS:
            self._due_since = None
        return Derived(
            upserted=list(counted.values()),
            deleted=[Deleted(RunTotalDue, run) for run in runs if run not in left],
        )

    async def _refresh(self, outdated: Sequence[RunTotal]) -> Derived:
        """Compute cost and risk again from the tokens that were counted."""
        upserted: list[RunTotal] = []
        for account_id, totals in _by_account((one.account_id, one) for one in outdated).items():
            runs = await self._totals.runs(account_id, [one.id for one in totals])
            uses = {one.id: RunUse(read_usage(one.usage), one.last_activity_at) for one in totals}
            upserted += await self._made(account_id, runs, uses)
        return Derived(upserted=upserted)

    async def _outdated(self) -> Sequence[RunTotal]:
        revision = self._prices.revision
        return await self._totals.with_other_prices(
            revision, _REFRESHED
        ) or await self._totals.with_other_profiles(_REFRESHED)

    async def _count(
        self, runs: Iterable[tuple[str, str]]
    ) -> tuple[Mapping[tuple[str, str], RunTotal], set[tuple[str, str]]]:
        """Count the spans of runs; return the totals, and the runs too large for this slice."""
        counted: dict[tuple[str, str], RunTotal] = {}
        left: set[tuple[str, str]] = set()
        room = _SPANS_AT_ONCE
        for account_id, ids in _by_account(runs).items():
            chosen: list[AgentInstance] = []
            for run in await self._totals.runs(account_id, ids):
                if room == _SPANS_AT_ONCE or run.span_total <= room:
                    room -= min(run.span_total, room)
                    chosen.append(run)
                else:
                    left.add((account_id, run.id))
            uses = await self._risks.counted(account_id, [run.id for run in chosen])
            for total in await self._made(account_id, chosen, uses):
                counted[account_id, total.id] = total
        return counted, left

    async def _made(
        self,
        account_id: str,
        runs: Sequence[AgentInstance],
        uses: Mapping[str, RunUse],
    ) -> list[RunTotal]:
        profiles = await self._risks.profiles(account_id, {run.agent_id for run in runs})
        made: list[RunTotal] = []
        for run in runs:
            profile = profiles.get(run.agent_id)
            declared: Mapping[str, DataRisk] = (
                {}
                if profile is None
                else await self._risks.declared(account_id, run.agent_schema_version_id)
            )
            found, last_activity_at = uses[run.id]
            made.append(
                total_of(
                    account_id,
                    run.id,
                    run.agent_id,
                    found,
                    last_activity_at,
                    prices=self._prices,
                    profile=profile,
                    declared=declared,
                )
            )
        return made


def _by_account(pairs: Iterable[tuple[str, T]]) -> Mapping[str, list[T]]:
    by_account: dict[str, list[T]] = defaultdict(list)
    for account_id, one in pairs:
        by_account[account_id].append(one)
    return by_account
