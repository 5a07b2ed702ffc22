"""Alerts: list, count and show them. See also `alert_write`."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from prefactor_server.api.kernel import query
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import Call, Parameter, Read
from prefactor_server.api.views.alert import KINDS, AlertView, AlertWritten, alert_view
from prefactor_server.api.views.base import Listed, Success, listed
from prefactor_server.domain.errors import NotFound, ValidationFailed, invalid
from prefactor_server.domain.listing import Filter, Listing, Sort
from prefactor_server.domain.runs.alert import SEVERITIES, STATUSES

_DAY_US: Final = 24 * 3600 * 1_000_000
_DEFAULT_DAYS: Final = 7
_MAX_DAYS: Final = 90
_NAMES: Final[dict[str, str]] = {kind: name for name, kind in KINDS.items()}
_START: Final = "active_during[start_at]"
_END: Final = "active_during[end_at]"


class AlertsListed(Listed[AlertView], frozen=True, kw_only=True):
    """A page of alerts.

    ``complete`` is false while the server evaluates runs that are older than the alerts feature.
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
    return round(us / 1_000_000, 3)


def _name_of(name: str, text: str) -> str:
    """Return the name of the alerts of a kind."""
    return _NAMES[query.one_of(*_NAMES)(name, text)]


def _time(name: str, description: str) -> Parameter:
    return Parameter(name, description, schema={"type": "string", "format": "date-time"})


_AGENT: Final = Parameter("agent_id", "The agent's id, or its external identifier.")
_KIND: Final = FilterParameter(
    Parameter(
        "kind",
        "The name of the server's own alerts, as older clients spell it.",
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
        _time(_START, "A time at which the alert was still raised, or before it was."),
        "cleared_at",
        query.time,
        ">= or null",
    ),
    FilterParameter(
        _time(_END, "A time before which the alert was raised."), "raised_at", query.time, "<"
    ),
)
_LIST: Final = ListQuery(filters=(_KIND, *_FILTERS), sorts=("id", "raised_at", "at"))
_DAYS: Final = Parameter(
    "window_days",
    "How many days to look back. Without a filter but kind, alerts of the last "
    f"{_DEFAULT_DAYS} days that are raised; with one, all, unless days are given.",
    schema={"type": "integer", "minimum": 1, "maximum": _MAX_DAYS},
)
_NARROWING: Final = {"agent_id", *(one.parameter.name for one in _FILTERS)}


async def _list(call: Call) -> AlertsListed:
    listing = await _listing(call)
    asked = listing._replace(filters=(*listing.filters, *_implied(call)))
    if asked.sort.field == "at":
        asked = asked._replace(sort=Sort("raised_at", asked.sort.descending))
    reader = call.services.reader.alerts
    page = await reader.page(call.principal, asked)
    whole = listed(listing, page, [alert_view(alert, call.principal) for alert in page.rows])
    fresh = await reader.freshness(call.now)
    return AlertsListed(
        summaries=whole.summaries,
        pagination=whole.pagination,
        sorting=whole.sorting,
        complete=fresh.complete,
        behind_seconds=_seconds(fresh.behind),
    )


async def _count(call: Call) -> AlertCount:
    listing = await _listing(call)
    asked = listing._replace(filters=(*listing.filters, *_implied(call)), page_size=1)
    reader = call.services.reader.alerts
    page, fresh = await reader.page(call.principal, asked), await reader.freshness(call.now)
    return AlertCount(
        count=page.total,
        complete=fresh.complete and page.total_is_exact,
        behind_seconds=_seconds(fresh.behind),
    )


async def _listing(call: Call) -> Listing:
    """Return the explicit filters, which are the same on every page, as cursors require."""
    given = call.query
    if _START in given and _END in given:
        start, end = (query.time(name, given[name]) for name in (_START, _END))
        if end < start:
            raise invalid(_END, f"must not be before {_START}")
    agent = given.get("agent_id")
    if agent is None:
        return _LIST.read(given)
    agent_id = await call.services.reader.agents.resolve_id(call.principal, agent)
    return _LIST.read(given, Filter("agent_id", "=", agent_id))


def _implied(call: Call) -> tuple[Filter, ...]:
    """Return the implied filters, which depend on the time and on absent parameters."""
    days = query.whole_number(call.query, "window_days", _DEFAULT_DAYS, 1, _MAX_DAYS)
    window = Filter("raised_at", ">=", call.now - days * _DAY_US)
    if _NARROWING.isdisjoint(call.query):
        return (Filter("status", "=", "raised"), window)
    return (window,) if "window_days" in call.query else ()


async def show(call: Call, alert_id: str) -> AlertWritten:
    """Return the answer to a repeated write of an alert: the alert as it is now."""
    alert = await call.services.reader.alerts.show(call.principal, alert_id)
    return AlertWritten(details=alert_view(alert, call.principal))


async def _show(call: Call) -> Success[AlertView]:
    return await show(call, call.path_id)


OPERATIONS = (
    Read(
        name="alerts.list",
        method="GET",
        path="/api/v1/alerts",
        summary="List alerts",
        right="read",
        description=(
            "What was raised about runs, by callers and by the server. Without a filter: what is "
            "raised, of the last days."
        ),
        access="account",
        reply=AlertsListed,
        refusals=(ValidationFailed,),
        parameters=(_AGENT, *_LIST.parameters(_DAYS)),
        answer=_list,
    ),
    Read(
        name="alerts.count",
        method="GET",
        path="/api/v1/alerts/count",
        summary="Count alerts",
        right="read",
        description="As many as the list has.",
        access="account",
        reply=AlertCount,
        refusals=(ValidationFailed,),
        parameters=(_AGENT, _KIND.parameter, *(one.parameter for one in _FILTERS), _DAYS),
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
