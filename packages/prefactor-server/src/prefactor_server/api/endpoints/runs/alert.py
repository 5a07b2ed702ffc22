"""Alerts: list and count them."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import Call, Parameter, Read
from prefactor_server.api.kernel.query import one_of, whole_number
from prefactor_server.api.views.alert import AlertView, AlertWritten, alert_view
from prefactor_server.api.views.base import Listed, Success, listed, show_time
from prefactor_server.domain.errors import NotFound, ValidationFailed
from prefactor_server.domain.risk.risk_score import RiskLevel
from prefactor_server.domain.runs.found_alert import Alert, AlertKind, Alerts, paginate_alerts

_DAY_US: Final = 24 * 3600 * 1_000_000
_DEFAULT_DAYS: Final = 7
_MAX_DAYS: Final = 90
_KINDS: Final = ("run_failed", "run_terminated", "risk_exceeded")


class FoundAlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert about a run. The risk is there for ``risk_exceeded`` alone."""

    type: Literal["alert"] = "alert"
    id: str
    account_id: str
    kind: AlertKind
    agent_id: str
    agent_instance_id: str
    environment_id: str
    at: str
    termination_reason: str | None
    risk_score: float | None
    risk_level: RiskLevel | None
    agreed_risk: RiskLevel | None


class AlertsListed(Listed[FoundAlertView], frozen=True, kw_only=True):
    """A page of alerts; ``complete`` is false when there were too many runs to look at all."""

    complete: bool


class AlertCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many alerts there are; ``complete`` is false when there may be more."""

    status: Literal["success"] = "success"
    count: int
    complete: bool


_LIST: Final = ListQuery(
    filters=(
        FilterParameter(
            Parameter("kind", "The kind of alert.", schema={"enum": list(_KINDS)}),
            "kind",
            one_of(*_KINDS),
        ),
    ),
    sorts=("id", "at"),
)
_DAYS: Final = Parameter(
    "window_days",
    "How many days to look back.",
    schema={"type": "integer", "minimum": 1, "maximum": _MAX_DAYS, "default": _DEFAULT_DAYS},
)


async def _list(call: Call) -> AlertsListed:
    listing = _LIST.read(call.query)
    found = await _found(call)
    page = paginate_alerts(found.alerts, listing)
    whole = listed(listing, page, [_view(alert) for alert in page.rows])
    return AlertsListed(
        summaries=whole.summaries,
        pagination=whole.pagination,
        sorting=whole.sorting,
        complete=found.complete,
    )


async def _count(call: Call) -> AlertCount:
    found = await _found(call)
    return AlertCount(count=len(found.alerts), complete=found.complete)


async def _found(call: Call) -> Alerts:
    days = whole_number(call.query, "window_days", _DEFAULT_DAYS, 1, _MAX_DAYS)
    return await call.services.reader.alerts.since(call.principal, call.now - days * _DAY_US)


async def show(call: Call, alert_id: str) -> AlertWritten:
    """The answer to a repeated write of an alert: the alert as it is now."""
    alert = await call.services.reader.alerts.show(call.principal, alert_id)
    return AlertWritten(details=alert_view(alert, call.principal))


async def _show(call: Call) -> Success[AlertView]:
    return await show(call, call.path_id)


def _view(alert: Alert) -> FoundAlertView:
    run = alert.run
    return FoundAlertView(
        id=alert.id,
        account_id=run.account_id,
        kind=alert.kind,
        agent_id=run.agent_id,
        agent_instance_id=run.id,
        environment_id=run.environment_id,
        at=show_time(alert.at),
        termination_reason=run.termination_reason,
        risk_score=alert.risk_score,
        risk_level=alert.risk_level,
        agreed_risk=alert.agreed_risk,
    )


OPERATIONS = (
    Read(
        name="alerts.list",
        method="GET",
        path="/api/v1/alerts",
        right="read",
        summary="List alerts",
        description="Runs that failed, were terminated, or exceed the agreed risk.",
        access="account",
        reply=AlertsListed,
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(_DAYS),
        answer=_list,
    ),
    Read(
        name="alerts.count",
        method="GET",
        path="/api/v1/alerts/count",
        right="read",
        summary="Count alerts",
        description="As many as the list has.",
        access="account",
        reply=AlertCount,
        refusals=(ValidationFailed,),
        parameters=(_DAYS,),
        answer=_count,
    ),
    Read(
        name="alerts.show",
        method="GET",
        path="/api/v1/alerts/{alert_id}",
        summary="Show an alert",
        right="read",
        access="account",
        reply=Success[AlertView],
        refusals=(NotFound,),
        answer=_show,
    ),
)
