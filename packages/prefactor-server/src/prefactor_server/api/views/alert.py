"""The views of an alert."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias, cast

import msgspec

from prefactor_server.api.kernel.sensitive import visible_document
from prefactor_server.api.views.agent_span import Validation, validation_view
from prefactor_server.api.views.base import ControlView, Success, show_optional_time, show_time
from prefactor_server.commands.base import Done
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.risk.risk_score import RiskLevel
from prefactor_server.domain.runs.alert import Alert, AlertSeverity, AlertStatus

AlertKind: TypeAlias = Literal["run_failed", "run_terminated", "run_abandoned", "risk_exceeded"]

KINDS: Final[dict[str, AlertKind]] = {
    "run.failed": "run_failed",
    "run.terminated": "run_terminated",
    "run.abandoned": "run_abandoned",
    "risk.exceeded": "risk_exceeded",
}
"""The kinds by which older clients know the server's alerts, by name."""


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert of a run.

    ``payload_validation`` is null if nothing was checked: the run declared no alert schema with
    this name, or the schema cannot be used. ``kind``, ``termination_reason`` and the fields after
    it are null unless the server raised the alert for that. ``at`` is ``raised_at``.
    """

    type: Literal["alert"] = "alert"
    id: str
    account_id: str
    agent_id: str
    agent_instance_id: str
    environment_id: str
    name: str
    title: str
    severity: AlertSeverity
    status: AlertStatus
    raised_at: str
    cleared_at: str | None
    payload: msgspec.Raw
    payload_validation: Validation | None
    summary: str | None
    version: int
    kind: AlertKind | None
    at: str
    termination_reason: str | None
    risk_score: float | None
    risk_level: RiskLevel | None
    agreed_risk: RiskLevel | None


class AlertWritten(Success[AlertView], frozen=True, kw_only=True):
    """The answer to a write of an alert. ``control`` is present only if its run was terminated."""

    control: ControlView | msgspec.UnsetType = msgspec.UNSET


def alert_view(alert: Alert, principal: Principal) -> AlertView:
    """Return the view of an alert for a caller."""
    found = _found(alert)
    at = show_time(alert.raised_at)
    return AlertView(
        id=alert.id,
        account_id=alert.account_id,
        agent_id=alert.agent_id,
        agent_instance_id=alert.agent_instance_id,
        environment_id=alert.environment_id,
        name=alert.name,
        title=alert.title,
        severity=alert.severity,
        status=alert.status,
        raised_at=at,
        cleared_at=show_optional_time(alert.cleared_at),
        payload=msgspec.Raw(visible_document(alert.payload, principal)),
        payload_validation=validation_view(alert.problem),
        summary=alert.summary,
        version=alert.version,
        kind=KINDS.get(alert.name),
        at=at,
        termination_reason=found.get("termination_reason"),
        risk_score=found.get("risk_score"),
        risk_level=found.get("risk_level"),
        agreed_risk=found.get("agreed_risk"),
    )


def alert_written(done: Done, principal: Principal) -> AlertWritten:
    """Return the answer to a write of an alert."""
    view = alert_view(cast("Alert", done.row), principal)
    if done.control is None:
        return AlertWritten(details=view)
    return AlertWritten(details=view, control=ControlView(reason=done.control.reason))


def _found(alert: Alert) -> dict[str, Any]:
    """Return the server's findings. An alert raised by a caller has none."""
    if alert.raised_by != "server":
        return {}
    found: dict[str, Any] = msgspec.json.decode(alert.payload)
    return found
