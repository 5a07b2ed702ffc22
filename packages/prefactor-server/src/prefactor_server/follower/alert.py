"""The consumer of the change feed that raises and clears the server's own alerts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log
from typing import Final, NamedTuple

from prefactor_server.commands.alert_review import ask_for_review, need_review
from prefactor_server.domain.change import BACKFILLED, RUN_CREATED, RUN_DELETED, RUN_ENDED, Change
from prefactor_server.domain.listing import Cursor, Filter, Listing
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.alert import ALERTS_CONSUMER, Alert
from prefactor_server.domain.runs.alert_cause import (
    CAUSES,
    MAX_AGE_US,
    RISK_EXCEEDED,
    RUN_FAILED,
    RUN_TERMINATED,
    alert_id,
    causes,
    follow_cause,
)
from prefactor_server.domain.runs.alert_review import AlertReview
from prefactor_server.follower.consumer import Consumer
from prefactor_server.queries.risk import RiskQueries, ScoredRun
from prefactor_server.storage.base import Changes, Needs, Snapshot, Storage
from prefactor_server.storage.feed import Derived

_REVIEWED_AGENTS: Final = 100
_REVIEWED_RUNS: Final = 500
_ENDINGS: Final = (RUN_FAILED, RUN_TERMINATED)
_OPEN: Final = ("pending", "active")
_SCORED_AT_ONCE: Final = 1000
_GROWTH: Final = 1.1


class _Seen(NamedTuple):
    """The changes of one run in a slice."""

    flags: int = 0
    spans: int = 0

    def add(self, change: Change) -> _Seen:
        """Return the same with one change more."""
        # A walk tells of a large run in parts; its score needs all spans, and is the same for each.
        tells = not change.flags & BACKFILLED or change.flags & RUN_CREATED
        spans = len(change.span_ids) if tells else 0
        return _Seen(self.flags | change.flags, self.spans + spans)

    def is_scored(self, run: AgentInstance) -> bool:
        """Whether to score the run now. Scoring reads all of its spans.

        A large active run is scored again when its spans have grown by a tenth, and at its end.
        """
        has_ended = run.status not in _OPEN or self.flags & BACKFILLED
        if has_ended or run.span_total <= _SCORED_AT_ONCE:
            return True
        before = max(run.span_total - self.spans, 1)
        return int(log(run.span_total, _GROWTH)) > int(log(before, _GROWTH))


class _Check(NamedTuple):
    """The alerts of one run that are held against their causes, by name.

    With ``looks_back``, nobody was told of the run when it changed: its risk was exceeded at its
    last change at the latest, and a cause that is too old raises no alert.
    """

    names: Sequence[str]
    scored: ScoredRun | None
    looks_back: bool = False


class AlertConsumer(Consumer):
    """Raises alerts for runs that failed, were terminated or exceed their risk, and clears them.

    An alert's id follows from its run and name, and it is compared with its cause in the
    transaction that writes it. Doing a slice again, or everything, changes nothing.
    """

    name = ALERTS_CONSUMER

    def __init__(self, storage: Storage, now_us: Callable[[], int]) -> None:
        self._storage = storage
        self._risks = RiskQueries(storage)
        self._now_us = now_us

    async def apply(self, changes: Sequence[Change]) -> Derived:
        """See ``Consumer.apply``."""
        now = self._now_us()
        checks: dict[str, Mapping[str, _Check]] = {}
        for account_id, runs in _by_account(changes).items():
            stored = await self._stored(account_id, runs)
            scores = await self._scores(account_id, runs, stored)
            of_account = {run_id: _check(seen, scores, run_id) for run_id, seen in runs.items()}
            named = {run_id: one for run_id, one in of_account.items() if one.names}
            if concerned := await self._concerned(account_id, named, stored):
                checks[account_id] = concerned
        return _derived(checks, now)

    async def reset(self) -> Derived | None:
        """Keep every alert. The backfill that follows compares each with its cause."""
        return None

    async def has_deferred(self) -> bool:
        """Return whether there is a review to do."""
        return bool(await self._storage.feed.some(AlertReview, 1))

    async def deferred(self) -> Derived | None:
        """Do a part of a review."""
        found = await self._storage.feed.some(AlertReview, 1)
        if not found:
            return None
        account_id, review_id = map(str, found[0].key)
        review = await self._storage.row(AlertReview, account_id, review_id)
        if review is None:
            return None
        kind, subject_id = review.subject
        if kind == "risk_profile":
            return await self._review_profile(review, subject_id)
        return await self._review_agent(review, subject_id)

    async def _stored(
        self, account_id: str, runs: Mapping[str, _Seen]
    ) -> Mapping[str, AgentInstance]:
        """The runs that may have alerts by what the changes say, as they are now."""
        named = [run_id for run_id, seen in runs.items() if seen.spans or seen.flags & RUN_ENDED]
        found = await self._storage.run_totals.runs(account_id, named) if named else ()
        return {run.id: run for run in found}

    async def _scores(
        self, account_id: str, runs: Mapping[str, _Seen], stored: Mapping[str, AgentInstance]
    ) -> Mapping[str, ScoredRun | None]:
        """The runs with a profile whose risk may have changed, with their score if it matters."""
        scored = [run for run in stored.values() if runs[run.id].is_scored(run)]
        return await self._risks.watched(account_id, scored) if scored else {}

    async def _concerned(
        self, account_id: str, checks: Mapping[str, _Check], stored: Mapping[str, AgentInstance]
    ) -> Mapping[str, _Check]:
        """Leave out the runs that have neither an alert nor a cause for one, as nearly all.

        Nothing but this consumer gives a run its server's alerts, so none appears meanwhile.
        """
        quiet = {
            alert_id(run_id, name): run_id
            for run_id, check in checks.items()
            if check.scored is None
            and run_id in stored
            and not causes(stored[run_id], None, None, 0)
            for name in check.names
        }
        found = await self._storage.rows_by_id(Alert, account_id, tuple(quiet)) if quiet else ()
        without = set(quiet.values()).difference(alert.agent_instance_id for alert in found)
        return {run_id: check for run_id, check in checks.items() if run_id not in without}

    async def _review_profile(self, review: AlertReview, profile_id: str) -> Derived:
        listing = Listing(
            (Filter("risk_profile_id", "=", profile_id),),
            page_size=_REVIEWED_AGENTS,
            after=Cursor(review.after, review.after, 0) if review.after else None,
        )
        page = await self._storage.agents(review.account_id, listing)
        agents = [record.agent.id for record in page.rows]
        needs = Needs()
        for agent_id in agents:
            need_review(needs, "agent", agent_id)

        def decide(snapshot: Snapshot) -> Changes:
            changes = Changes()
            for agent_id in agents:
                changes = ask_for_review(
                    changes,
                    snapshot,
                    review.account_id,
                    kind="agent",
                    subject_id=agent_id,
                    now=review.updated_at,
                )
            return changes

        return _reviewed(review, agents[-1] if page.next else None, needs, decide)

    async def _review_agent(self, review: AlertReview, agent_id: str) -> Derived:
        now = self._now_us()
        runs = await self._storage.instances_of_agent(
            review.account_id, agent_id, review.after, _REVIEWED_RUNS
        )
        recent = [run for run in runs if run.inserted_at >= now - MAX_AGE_US]
        scores = await self._risks.watched(review.account_id, recent)
        checks = {run.id: _Check((RISK_EXCEEDED,), scores.get(run.id)) for run in recent}
        needs = _needs(checks)

        def decide(snapshot: Snapshot) -> Changes:
            return _followed(snapshot, checks, now)

        return _reviewed(
            review, runs[-1].id if len(runs) == _REVIEWED_RUNS else None, needs, decide
        )


def _by_account(changes: Iterable[Change]) -> Mapping[str, Mapping[str, _Seen]]:
    found: dict[str, dict[str, _Seen]] = defaultdict(dict)
    for change in changes:
        runs, run_id = found[change.account_id], change.agent_instance_id
        runs[run_id] = runs.get(run_id, _Seen()).add(change)
    return found


def _check(seen: _Seen, scores: Mapping[str, ScoredRun | None], run_id: str) -> _Check:
    names: list[str] = []
    if seen.flags & RUN_DELETED:
        names = list(CAUSES)
    else:
        names += _ENDINGS if seen.flags & RUN_ENDED else ()
        names += (RISK_EXCEEDED,) if run_id in scores else ()
    return _Check(names, scores.get(run_id), looks_back=bool(seen.flags & BACKFILLED))


def _derived(checks: Mapping[str, Mapping[str, _Check]], now: int) -> Derived:
    if not checks:
        return Derived()

    def decide(snapshots: Mapping[str, Snapshot]) -> None:
        for account_id, of_account in checks.items():
            snapshot = snapshots[account_id]
            snapshot.apply(_followed(snapshot, of_account, now))

    needs = {account_id: _needs(of_account) for account_id, of_account in checks.items()}
    return Derived(needs=needs, decide=decide)


def _needs(checks: Mapping[str, _Check]) -> Needs:
    needs = Needs()
    for run_id, check in checks.items():
        needs.instances.add(run_id)
        needs.rows.update((Alert, alert_id(run_id, name)) for name in check.names)
    return needs


def _followed(snapshot: Snapshot, checks: Mapping[str, _Check], now: int) -> Changes:
    inserted: list[Alert] = []
    updated: list[Alert] = []
    deleted: list[Alert] = []
    for run_id, check in checks.items():
        run = snapshot.get(AgentInstance, run_id)
        found = {name: snapshot.get(Alert, alert_id(run_id, name)) for name in check.names}
        if run is None:
            # Deleting the run deleted its alerts, except those written meanwhile.
            deleted += [alert for alert in found.values() if alert is not None]
            continue
        for name, alert in found.items():
            followed = _follow(run, name, alert, check, now)
            if followed is not None:
                (inserted if alert is None else updated).append(followed)
    return Changes(inserted=inserted, updated=updated, deleted=deleted)


def _follow(
    run: AgentInstance, name: str, alert: Alert | None, check: _Check, now: int
) -> Alert | None:
    profile, risk = check.scored or (None, None)
    at = run.updated_at if check.looks_back else now
    cause = causes(run, profile, risk, at).get(name)
    is_old = check.looks_back and cause is not None and cause.at < now - MAX_AGE_US
    if alert is None and is_old:
        return None
    return follow_cause(run, name, alert, cause, now)


def _reviewed(
    review: AlertReview, after: str | None, needs: Needs, decide: Callable[[Snapshot], Changes]
) -> Derived:
    """What a part of a review changes, unless it was asked for anew meanwhile."""
    needs.rows.add((AlertReview, review.id))

    def decide_all(snapshots: Mapping[str, Snapshot]) -> None:
        snapshot = snapshots[review.account_id]
        if snapshot.get(AlertReview, review.id) != review:
            return
        changes = decide(snapshot)
        if after is None:
            changes = changes._replace(deleted=(*changes.deleted, review))
        else:
            moved = review._replace(after=after)
            changes = changes._replace(updated=(*changes.updated, moved))
        snapshot.apply(changes)

    return Derived(needs={review.account_id: needs}, decide=decide_all)
