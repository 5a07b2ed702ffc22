"""The causes of the server's own alerts, and their effects on them.

    run.failed       a run failed
    run.terminated   a run was stopped from outside
    run.abandoned    an active run's agent fell silent
    risk.exceeded    a run's risk exceeds the level agreed in its profile
    cost.exceeded    a run has cost more than its agent's limit

A run has one of the server's alerts for each of these names. It is raised again when its cause
returns. Its id is derived from the run and the name, so that it is found without a search.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from prefactor_server.domain.pfid import RANDOM_BYTES, encode, is_pfid
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_score import RiskLevel, RunRisk, exceeds
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.alert import FIRST_VERSION, SEVERITIES, Alert, AlertSeverity
from prefactor_server.domain.runs.cost_limit import LimitedCost
from prefactor_server.domain.times import DAY_US, format_time

RUN_FAILED: Final = "run.failed"
RUN_TERMINATED: Final = "run.terminated"
RUN_ABANDONED: Final = "run.abandoned"
RISK_EXCEEDED: Final = "risk.exceeded"
COST_EXCEEDED: Final = "cost.exceeded"
CAUSES: Final = (RUN_FAILED, RUN_TERMINATED, RUN_ABANDONED, RISK_EXCEEDED, COST_EXCEEDED)

MAX_AGE_US: Final = 90 * DAY_US
"""A cause older than this raises no alert, unless the server saw it when it occurred."""

_TITLES: Final[Mapping[str, str]] = {
    RUN_FAILED: "Run failed",
    RUN_TERMINATED: "Run terminated",
    RUN_ABANDONED: "Run abandoned",
    RISK_EXCEEDED: "Agreed risk exceeded",
    COST_EXCEEDED: "Cost limit exceeded",
}
_SEVERITIES: Final[Mapping[RiskLevel, AlertSeverity]] = {
    "low": "info",
    "medium": "info",
    "high": "warning",
    "critical": "critical",
}
_PREFIX_LENGTH: Final = 16


class Cause(NamedTuple):
    """Why the server raises an alert of a run: its severity, payload and time."""

    severity: AlertSeverity
    payload: Mapping[str, Any]
    at: int


def causes(
    run: AgentInstance,
    profile: RiskProfile | None,
    risk: RunRisk | None,
    at: int,
    cost: LimitedCost | None = None,
) -> dict[str, Cause]:
    """Return the causes for alerts about a run, by the name of the alert.

    ``profile`` and ``risk`` are None if the run has no risk profile, ``cost`` if it has no limit.
    ``at`` is the time of the observation.
    """
    found: dict[str, Cause] = {}
    ended = run.updated_at if run.finished_at is None else run.finished_at
    if run.status == "failed":
        by = {} if run.ended_by is None else {"ended_by": run.ended_by}
        found[RUN_FAILED] = Cause("warning", by, ended)
    elif run.status == "terminated":
        found[RUN_TERMINATED] = Cause(
            "warning", {"termination_reason": run.termination_reason}, ended
        )
    if run.abandoned_at is not None:
        found[RUN_ABANDONED] = Cause(
            "warning", {"last_seen_at": format_time(run.seen_at)}, run.abandoned_at
        )
    if profile is not None and risk is not None and exceeds(risk.level, profile.agreed_risk):
        payload = {
            "risk_score": risk.score,
            "risk_level": risk.level,
            "agreed_risk": profile.agreed_risk,
        }
        found[RISK_EXCEEDED] = Cause(_SEVERITIES[risk.level], payload, at)
    if cost is not None and cost.is_exceeded:
        found[COST_EXCEEDED] = Cause("warning", cost.payload(), at)
    return found


def alert_id(run_id: str, name: str) -> str:
    """Return the id of the server's alert of a name. It sorts with the run's id, if a PFID."""
    digest = hashlib.blake2b(f"{run_id}\n{name}".encode(), digest_size=2 * RANDOM_BYTES).digest()
    first, second = digest[:RANDOM_BYTES], digest[RANDOM_BYTES:]
    prefix = run_id if is_pfid(run_id) else encode(int.from_bytes(first[:5], "big"), 0, first)
    return prefix[:_PREFIX_LENGTH] + encode(0, 0, second)[_PREFIX_LENGTH:]


def follow_cause(
    run: AgentInstance, name: str, alert: Alert | None, cause: Cause | None, now: int
) -> Alert | None:
    """Return the server's alert of a name in its new state, or None if nothing changes.

    An alert that a caller cleared is raised again only if it becomes more severe, or if its cause
    disappeared in between.
    """
    if cause is None:
        return None if alert is None else _without_cause(alert, now)
    payload = json.dumps(cause.payload, separators=(",", ":")).encode()
    if alert is None:
        return _new(run, name, cause, payload)
    if alert.status == "cleared":
        if alert.dismissed and not _is_worse(cause.severity, alert.severity):
            return None
        alert = alert._replace(status="raised", raised_at=cause.at, cleared_at=None)
    elif (alert.severity, alert.payload) == (cause.severity, payload):
        return None
    return alert._replace(
        severity=cause.severity,
        payload=payload,
        dismissed=False,
        version=alert.version + 1,
        updated_at=now,
    )


def _without_cause(alert: Alert, now: int) -> Alert | None:
    if alert.status == "raised":
        return alert.clear(now, dismissed=False)
    return alert._replace(dismissed=False) if alert.dismissed else None


def _new(run: AgentInstance, name: str, cause: Cause, payload: bytes) -> Alert:
    return Alert(
        id=alert_id(run.id, name),
        account_id=run.account_id,
        agent_id=run.agent_id,
        agent_instance_id=run.id,
        environment_id=run.environment_id,
        name=name,
        raised_by="server",
        raised_at=cause.at,
        title=_TITLES[name],
        severity=cause.severity,
        status="raised",
        cleared_at=None,
        payload=payload,
        problem=None,
        summary=None,
        dismissed=False,
        version=FIRST_VERSION,
        updated_at=cause.at,
    )


def _is_worse(severity: AlertSeverity, than: AlertSeverity) -> bool:
    return SEVERITIES.index(severity) > SEVERITIES.index(than)
