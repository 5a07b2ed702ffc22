"""Derives alerts and webhook events from a slice of changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log
from typing import Final, NamedTuple

from prefactor_server.domain.change import (
    BACKFILLED,
    IMPORTED,
    QUALITY,
    RUN_CHANGED,
    RUN_CREATED,
    RUN_DELETED,
    RUN_ENDED,
    Change,
)
from prefactor_server.domain.runs.agent_instance import OPEN_STATUSES, AgentInstance
from prefactor_server.domain.runs.alert import FIRST_VERSION, Alert
from prefactor_server.domain.runs.alert_cause import (
    CAUSES,
    COST_EXCEEDED,
    MAX_AGE_US,
    RISK_EXCEEDED,
    RUN_ABANDONED,
    RUN_FAILED,
    RUN_TERMINATED,
    alert_id,
    causes,
    follow_cause,
)
from prefactor_server.domain.runs.cost_limit import LimitedCost
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.event import alert_data, quality_data
from prefactor_server.domain.times import DAY_US
from prefactor_server.follower.outbox import Event, Outbox
from prefactor_server.queries.risk import ScoredRun
from prefactor_server.storage.base import Changes, Needs, Snapshot

_OF_END: Final = (RUN_FAILED, RUN_TERMINATED)
_OF_RUN: Final = (*_OF_END, RUN_ABANDONED)
MAY_CHANGE_ALERTS: Final = RUN_ENDED | RUN_CHANGED | BACKFILLED
"""The flags that may raise or clear an alert. An end of a run may be provisional, and change."""
_FINISHED: Final = "run.finished"
_RECORDED: Final = "quality.recorded"
_SCORED_AT_ONCE: Final = 1000
_GROWTH: Final = 1.1
# Deliveries are kept for at least a day. One that was deleted would be sent again.
_MAX_LATENESS_US: Final = DAY_US


class Seen(NamedTuple):
    """The changes of one run in a slice; ``at`` is the time of their last commit."""

    flags: int = 0
    spans: int = 0
    at: int = 0
    events: tuple[Event, ...] = ()

    def add(self, change: Change) -> Seen:
        """Return the changes with one more."""
        # A backfill names the spans of a large run in parts. Scoring it once is enough.
        is_first = not change.flags & BACKFILLED or change.flags & RUN_CREATED
        spans = len(change.span_ids) if is_first else 0
        return Seen(
            self.flags | change.flags,
            self.spans + spans,
            max(self.at, change.at),
            (*self.events, *_events(change)),
        )

    @property
    def is_new(self) -> bool:
        """Whether the run was created in this slice. Only a review can have raised its alerts."""
        return self.flags & (RUN_CREATED | BACKFILLED) == RUN_CREATED

    def is_scored(self, run: AgentInstance) -> bool:
        """Return whether to score the run now, which may read all of its spans.

        A large open run is scored again when it has grown by a tenth, and when it ends.
        """
        if not self.spans and not self.flags & RUN_ENDED:
            return False
        has_ended = run.status not in OPEN_STATUSES or self.flags & BACKFILLED
        if has_ended or run.span_total <= _SCORED_AT_ONCE:
            return True
        before = max(run.span_total - self.spans, 1)
        return int(log(run.span_total, _GROWTH)) > int(log(before, _GROWTH))


class Figures(NamedTuple):
    """The current risk and cost of the runs for which these may have changed.

    A run whose score is None cannot exceed its limit.
    """

    scores: Mapping[str, ScoredRun | None] = {}
    costs: Mapping[str, LimitedCost] = {}


class Check(NamedTuple):
    """The names of the alerts of one run to compare with their causes, and its other events.

    With ``is_backfilled``, the run was stored before this consumer started. The time of its last
    change then stands for the time at which it exceeded its limit, a cause that is too old raises
    no alert, and webhooks get no events.
    """

    names: Sequence[str]
    scored: ScoredRun | None
    cost: LimitedCost | None
    at: int
    events: Sequence[Event] = ()
    is_backfilled: bool = False
    has_ended: bool = False
    """Whether the run ended in the slice, perhaps provisionally."""


def seen_by_account(changes: Iterable[Change]) -> Mapping[str, Mapping[str, Seen]]:
    """Return the changes of each run, by account."""
    found: dict[str, dict[str, Seen]] = defaultdict(dict)
    for change in changes:
        runs, run_id = found[change.account_id], change.agent_instance_id
        runs[run_id] = runs.get(run_id, Seen()).add(change)
    return found


def _events(change: Change) -> Iterator[Event]:
    """Yield the webhook events of a change, other than alerts."""
    if change.flags & (BACKFILLED | IMPORTED):
        return
    if change.flags & RUN_ENDED:
        yield Event(_FINISHED, "", change.at)
    if change.flags & QUALITY:
        yield Event(_RECORDED, str(change.position), change.at)


def check_run(seen: Seen, figures: Figures, run_id: str, *, has_webhooks: bool) -> Check:
    """Return the check of a run. ``has_webhooks`` says whether its account has enabled ones."""
    names: list[str] = []
    if seen.flags & RUN_DELETED:
        names = list(CAUSES)
    elif not seen.flags & IMPORTED:
        names += _OF_RUN if seen.flags & MAY_CHANGE_ALERTS else ()
        names += (RISK_EXCEEDED,) if run_id in figures.scores else ()
        names += (COST_EXCEEDED,) if run_id in figures.costs else ()
    return Check(
        names,
        figures.scores.get(run_id),
        figures.costs.get(run_id),
        seen.at,
        seen.events if has_webhooks else (),
        is_backfilled=bool(seen.flags & BACKFILLED),
        has_ended=bool(seen.flags & RUN_ENDED),
    )


def needs_of(account_id: str, checks: Mapping[str, Check], outbox: Outbox) -> Needs:
    """Return the rows that ``alert_changes`` needs."""
    needs = Needs()
    for run_id, check in checks.items():
        needs.instances.add(run_id)
        needs.rows.update((Alert, alert_id(run_id, name)) for name in check.names)
        raised = [Event(name, str(FIRST_VERSION), check.at) for name in check.names]
        outbox.need(needs, account_id, run_id, (*check.events, *raised))
        if any(event.type == _RECORDED for event in check.events):
            needs.rows.add((InstanceQuality, run_id))
    return needs


def alert_changes(
    snapshot: Snapshot, checks: Mapping[str, Check], outbox: Outbox, now: int
) -> Changes:
    """Return the changes that bring alerts in line with their causes, and webhook deliveries."""
    inserted: list[Alert | WebhookDelivery] = []
    updated: list[Alert] = []
    deleted: list[Alert] = []
    times = outbox.times()
    for run_id, check in checks.items():
        run = snapshot.get(AgentInstance, run_id)
        found = {name: snapshot.get(Alert, alert_id(run_id, name)) for name in check.names}
        if run is None:
            # Deleting the run deleted its alerts, except those written in the meantime.
            deleted += [alert for alert in found.values() if alert is not None]
            continue
        for name, alert in found.items():
            changed = _changed_alert(run, name, alert, check, now)
            if changed is not None:
                (inserted if alert is None else updated).append(changed)
            current = changed or alert
            event = _raised_event(alert, current, check, now)
            if current is not None and event is not None:
                data = {"alert": alert_data(current)}
                inserted += outbox.deliveries(snapshot, run, event, times, **data)
        for event in check.events:
            data = {}
            if event.type == _RECORDED:
                data["quality"] = quality_data(snapshot.get(InstanceQuality, run_id))
            inserted += outbox.deliveries(snapshot, run, event, times, **data)
    return Changes(inserted=inserted, updated=updated, deleted=deleted)


def _raised_event(
    before: Alert | None, alert: Alert | None, check: Check, now: int
) -> Event | None:
    """Return the event that an alert was raised, or None if it was not in this slice.

    A backfill reads runs as they are, so it may raise an alert before the change that caused it is
    followed. The event is due when that change is. Webhooks that have received it are left out.
    """
    if check.is_backfilled or alert is None or alert.status != "raised":
        return None
    if before is None or before.status != "raised":
        return Event(alert.name, str(alert.version), check.at)
    at = check.at if check.has_ended and alert.name in _OF_END else alert.raised_at
    if alert.version > FIRST_VERSION or at < now - _MAX_LATENESS_US:
        return None
    return Event(alert.name, str(FIRST_VERSION), at)


def _changed_alert(
    run: AgentInstance, name: str, alert: Alert | None, check: Check, now: int
) -> Alert | None:
    profile, risk = check.scored or (None, None)
    at = run.updated_at if check.is_backfilled else now
    cause = causes(run, profile, risk, at, check.cost).get(name)
    is_old = check.is_backfilled and cause is not None and cause.at < now - MAX_AGE_US
    if alert is None and is_old:
        return None
    return follow_cause(run, name, alert, cause, now)
