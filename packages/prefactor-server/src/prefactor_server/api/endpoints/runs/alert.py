"""Alerts: list, count and show them. See also `alert_write`."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from prefactor_server.api.endpoints.runs.agent_instance_filters import AGENT, agent_filters
from prefactor_server.api.kernel import query
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import LIST_COST, Call, Parameter, Read
from prefactor_server.api.views.alert import KINDS, AlertView, AlertWritten, alert_view
from prefactor_server.api.views.base import Listed, Success, by_path_id, listed
from prefactor_server.domain.errors import NotFound, ValidationFailed, invalid
from prefactor_server.domain.listing import Filter, Listing, Sort
from prefactor_server.domain.runs.alert import SEVERITIES, STATUSES
from prefactor_server.domain.times import DAY_US, SECOND_US

_DEFAULT_DAYS: Final = 7
_MAX_DAYS: Final = 90
_NAMES: Final[dict[str, str]] = {kind: name for name, kind in KINDS.items()}
_START: Final = "active_during[start_at]"
_END: Final = "active_during[end_at]"


class AlertsListed(Listed[AlertView], frozen=True, kw_only=True):
    """A page of alerts.

    ``complete`` is false while the server evaluates runs from before it had alerts.
    The server's own alerts reflect every commit that is older than ``behind_seconds``.
    """

    complete: bool
    behind_seconds: float


class AlertCount(msgspec.Struct, frozen=True, kw_only=True):
    """The number of alerts, up to a limit. ``complete`` is false if there may be more."""

    status: Literal["success"] = "success"
    count: int
    complete: bool
    behind_seconds: float


def _seconds(us: int) -> float:
    return round(us / SECOND_US, 3)


def _name_of(name: str, text: str) -> str:
    """Return the name of the alerts that older clients call by a kind."""
    return _NAMES[query.one_of(*_NAMES)(name, text)]


def _time(name: str, description: str) -> Parameter:
    return Parameter(name, description, schema={"type": "string", "format": "date-time"})


_KIND: Final = FilterParameter(
    Parameter(
        "kind",
        "The name of the server's own alerts in older clients.",
        schema={"enum": list(_NAMES)},
    ),
    "name",
    _name_of,
)
_FILTERS: Final = (
    FilterParameter(
        Parameter("status", "The status.", schema={"enum": list(STATUSES)}),
        "status",
        query.one_of(*STATUSES),
    ),
    FilterParameter(
        Parameter("severity", "The severity.", schema={"enum": list(SEVERITIES)}),
        "severity",
        query.one_of(*SEVERITIES),
    ),
    FilterParameter(Parameter("name", "The name."), "name"),
    FilterParameter(Parameter("agent_instance_id", "The run."), "agent_instance_id"),
    FilterParameter(Parameter("environment_id", "The environment."), "environment_id"),
    FilterParameter(
        _time(_START, "The time until which the alert was not cleared."),
        "cleared_at",
        query.time,
        ">= or null",
    ),
    FilterParameter(
        _time(_END, "The time before which the alert was raised."), "raised_at", query.time, "<"
    ),
)
_LIST: Final = ListQuery(filters=(_KIND, *_FILTERS), sorts=("id", "raised_at", "at"))
_DAYS: Final = Parameter(
    "window_days",
    "The number of days in which the alerts were raised. Without filters other than kind, the "
    f"default is {_DEFAULT_DAYS}, and only raised alerts are returned. With filters, the default "
    "is no limit.",
    schema={"type": "integer", "minimum": 1, "maximum": _MAX_DAYS},
)
_NARROWING: Final = {"agent_id", *(one.parameter.name for one in _FILTERS)}


async def _list(call: Call) -> AlertsListed:
    listing = await _listing(call)
    effective = listing._replace(filters=(*listing.filters, *_implied(call)))
    if effective.sort.field == "at":
        effective = effective._replace(sort=Sort("raised_at", effective.sort.descending))
    reader = call.services.reader.alerts
    page = await reader.page(call.principal, effective)
    view = listed(listing, page, [alert_view(alert, call.principal) for alert in page.rows])
    freshness = await reader.freshness(call.now)
    return AlertsListed(
        summaries=view.summaries,
        pagination=view.pagination,
        sorting=view.sorting,
        complete=freshness.complete,
        behind_seconds=_seconds(freshness.behind),
    )


async def _count(call: Call) -> AlertCount:
    listing = await _listing(call)
    effective = listing._replace(filters=(*listing.filters, *_implied(call)), page_size=1)
    reader = call.services.reader.alerts
    page = await reader.page(call.principal, effective)
    freshness = await reader.freshness(call.now)
    return AlertCount(
        count=page.total,
        complete=freshness.complete and page.total_is_exact,
        behind_seconds=_seconds(freshness.behind),
    )


async def _listing(call: Call) -> Listing:
    """Return the explicit filters, which are the same on every page, as cursors require."""
    if _START in call.query and _END in call.query:
        start, end = (query.time(name, call.query[name]) for name in (_START, _END))
        if end < start:
            raise invalid(_END, f"must not be before {_START}")
    return _LIST.read(call.query, *await agent_filters(call))


def _implied(call: Call) -> tuple[Filter, ...]:
    """Return the implied filters, which depend on the time and on absent parameters."""
    days = query.whole_number(call.query, "window_days", _DEFAULT_DAYS, 1, _MAX_DAYS)
    window = Filter("raised_at", ">=", call.now - days * DAY_US)
    if _NARROWING.isdisjoint(call.query):
        return (Filter("status", "=", "raised"), window)
    return (window,) if "window_days" in call.query else ()


async def show(call: Call, alert_id: str) -> AlertWritten:
    """Return the answer to a repeated write of an alert, with the alert's current state."""
    alert = await call.services.reader.alerts.show(call.principal, alert_id)
    return AlertWritten(details=alert_view(alert, call.principal))


OPERATIONS = (
    Read(
        name="alerts.list",
        cost=LIST_COST,
        method="GET",
        path="/api/v1/alerts",
        summary="List alerts",
        right="read",
        description=(
            "Lists alerts about runs, from callers and from the server. Without filters, lists "
            f"those that were raised in the last {_DEFAULT_DAYS} days and are not cleared."
        ),
        access="account",
        reply=AlertsListed,
        refusals=(ValidationFailed,),
        parameters=(AGENT, *_LIST.parameters(_DAYS)),
        answer=_list,
    ),
    Read(
        name="alerts.count",
        method="GET",
        path="/api/v1/alerts/count",
        summary="Count alerts",
        right="read",
        description="Counts the alerts that the list has with the same parameters.",
        access="account",
        reply=AlertCount,
        refusals=(ValidationFailed,),
        parameters=(AGENT, _KIND.parameter, *(one.parameter for one in _FILTERS), _DAYS),
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
        answer=by_path_id(show),
    ),
)
