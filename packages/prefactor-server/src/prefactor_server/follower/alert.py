"""The consumer of the change feed that raises and clears the server's own alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from prefactor_server.commands.alert_review import need_review, request_review
from prefactor_server.domain.change import IMPORTED, Change
from prefactor_server.domain.listing import Cursor, Filter, Listing
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.alert import ALERTS_CONSUMER, Alert
from prefactor_server.domain.runs.alert_cause import (
    COST_EXCEEDED,
    MAX_AGE_US,
    RISK_EXCEEDED,
    alert_id,
    causes,
)
from prefactor_server.domain.runs.alert_review import AlertReview
from prefactor_server.domain.runs.cost import NO_PRICES, PriceTable
from prefactor_server.follower.alert_check import (
    MAY_CHANGE_ALERTS,
    Check,
    Figures,
    Seen,
    alert_changes,
    check_run,
    needs_of,
    seen_by_account,
)
from prefactor_server.follower.consumer import Consumer
from prefactor_server.follower.cost_limit import RunCostQueries
from prefactor_server.follower.outbox import Outbox
from prefactor_server.queries.risk import RiskQueries
from prefactor_server.storage.base import Changes, Needs, Snapshot, Storage
from prefactor_server.storage.feed import Derived

_REVIEWED_AGENTS: Final = 100
_REVIEWED_RUNS: Final = 500
_THRESHOLDS: Final = (RISK_EXCEEDED, COST_EXCEEDED)


class AlertConsumer(Consumer):
    """Raises alerts for runs that ended badly or exceed risk or cost, and clears them.

    It also fills the outbox of webhooks: an alert and its deliveries are written in one
    transaction. An alert's id is derived from its run and name, and the alert is compared with its
    cause in the transaction that writes it. Applying a slice, or everything, again changes nothing.
    """

    name = ALERTS_CONSUMER

    def __init__(
        self,
        storage: Storage,
        now_us: Callable[[], int],
        *,
        prices: PriceTable = NO_PRICES,
        public_url: str = "",
    ) -> None:
        self._storage = storage
        self._risks = RiskQueries(storage)
        self._costs = RunCostQueries(storage, prices)
        self._now_us = now_us
        self._public_url = public_url

    async def apply(self, changes: Sequence[Change]) -> Derived:
        """See ``Consumer.apply``."""
        now = self._now_us()
        by_account = seen_by_account(changes)
        outbox = await Outbox.open(self._storage, list(by_account), now, self._public_url)
        checks: dict[str, Mapping[str, Check]] = {}
        for account_id, runs in by_account.items():
            stored = await self._stored(account_id, runs)
            figures = await self._figures(account_id, runs, stored)
            has_webhooks = outbox.has_webhooks(account_id)
            checks_of_account = {
                run_id: check_run(seen, figures, run_id, has_webhooks=has_webhooks)
                for run_id, seen in runs.items()
            }
            relevant = await self._relevant(account_id, checks_of_account, stored, runs)
            if relevant:
                checks[account_id] = relevant
        return _derived(checks, outbox, now)

    async def reset(self) -> Derived | None:
        """Keep every alert. The backfill that follows compares each with its cause."""
        return None

    async def has_deferred(self) -> bool:
        """Return whether a review is waiting."""
        return bool(await self._storage.feed.some(AlertReview, 1))

    async def deferred(self) -> Derived | None:
        """Return the alerts of the next part of a review."""
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
        self, account_id: str, runs: Mapping[str, Seen]
    ) -> Mapping[str, AgentInstance]:
        """Return the current rows of the runs whose changes may raise or clear an alert."""
        named = [
            run_id for run_id, seen in runs.items() if seen.spans or seen.flags & MAY_CHANGE_ALERTS
        ]
        found = await self._storage.run_totals.runs(account_id, named) if named else ()
        return {run.id: run for run in found}

    async def _relevant(
        self,
        account_id: str,
        checks: Mapping[str, Check],
        stored: Mapping[str, AgentInstance],
        runs: Mapping[str, Seen],
    ) -> Mapping[str, Check]:
        """Leave out runs that have neither an alert nor a cause for one. Nearly all are such runs.

        Only this consumer writes the server's alerts, so none can appear in between.
        """
        quiet = {
            run_id: check
            for run_id, check in checks.items()
            if check.scored is None
            and run_id in stored
            and not causes(stored[run_id], None, None, 0, check.cost)
        }
        known = {
            alert_id(run_id, name)
            for run_id, check in quiet.items()
            if check.cost is not None or not runs[run_id].is_new
            for name in check.names
        }
        found = await self._storage.rows_by_id(Alert, account_id, tuple(known)) if known else ()
        without = quiet.keys() - {alert.agent_instance_id for alert in found}
        relevant = {
            run_id: check._replace(names=()) if run_id in without else check
            for run_id, check in checks.items()
        }
        return {run_id: check for run_id, check in relevant.items() if check.names or check.events}

    async def _figures(
        self, account_id: str, runs: Mapping[str, Seen], stored: Mapping[str, AgentInstance]
    ) -> Figures:
        """Return the risk and cost of the runs whose spans have changed, where there is a limit."""
        scored = [
            run
            for run in stored.values()
            if runs[run.id].is_scored(run) and not runs[run.id].flags & IMPORTED
        ]
        return await self._figures_of(account_id, scored) if scored else Figures()

    async def _figures_of(self, account_id: str, runs: Sequence[AgentInstance]) -> Figures:
        return Figures(
            await self._risks.watched(account_id, runs), await self._costs.limited(account_id, runs)
        )

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
                changes = request_review(
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
        recent = [
            run for run in runs if run.inserted_at >= now - MAX_AGE_US and not run.is_silent_import
        ]
        scores, costs = await self._figures_of(review.account_id, recent)
        outbox = await Outbox.open(self._storage, [review.account_id], now, self._public_url)
        checks = {
            run.id: Check(_THRESHOLDS, scores.get(run.id), costs.get(run.id), now) for run in recent
        }
        needs = needs_of(review.account_id, checks, outbox)

        def decide(snapshot: Snapshot) -> Changes:
            return alert_changes(snapshot, checks, outbox, now)

        return _reviewed(
            review, runs[-1].id if len(runs) == _REVIEWED_RUNS else None, needs, decide
        )


def _derived(checks: Mapping[str, Mapping[str, Check]], outbox: Outbox, now: int) -> Derived:
    if not checks:
        return Derived()

    def decide(snapshots: Mapping[str, Snapshot]) -> None:
        for account_id, of_account in checks.items():
            snapshot = snapshots[account_id]
            snapshot.apply(alert_changes(snapshot, of_account, outbox, now))

    needs = {
        account_id: needs_of(account_id, of_account, outbox)
        for account_id, of_account in checks.items()
    }
    return Derived(needs=needs, decide=decide)


def _reviewed(
    review: AlertReview, after: str | None, needs: Needs, decide: Callable[[Snapshot], Changes]
) -> Derived:
    """Return the changes of a part of a review; none if it was requested again meanwhile."""
    needs.rows.add((AlertReview, review.id))

    def decide_all(snapshots: Mapping[str, Snapshot]) -> None:
        snapshot = snapshots[review.account_id]
        if snapshot.get(AlertReview, review.id) != review:
            return
        changes = decide(snapshot)
        if after is None:
            changes = replace(changes, deleted=(*changes.deleted, review))
        else:
            moved = review._replace(after=after)
            changes = replace(changes, updated=(*changes.updated, moved))
        snapshot.apply(changes)

    return Derived(needs={review.account_id: needs}, decide=decide_all)
