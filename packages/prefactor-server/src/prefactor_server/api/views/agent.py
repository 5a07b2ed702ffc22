"""The views of an agent."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from prefactor_server.api.views.base import Success, show_optional_time, show_time
from prefactor_server.api.views.risk_rollup import RiskRollupsView, RiskRollupView
from prefactor_server.domain.agent import AgentStatus, agent_status
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.runs.run_total import COST_UNITS
from prefactor_server.queries.agent import AgentRecord, InstanceCounts


class AvailableActions(msgspec.Struct, frozen=True, kw_only=True):
    """The actions that an agent's status and use allow."""

    update: bool
    retire: bool
    reinstate: bool
    delete: bool


class InstanceCountsView(msgspec.Struct, frozen=True, kw_only=True):
    """The number of an agent's runs by status. ``finished`` counts all that have ended."""

    total: int
    pending: int
    active: int
    complete: int
    failed: int
    cancelled: int
    terminated: int
    finished: int


class AgentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An agent in a list.

    ``last_run_at`` is when its latest run was registered. It is null for a deployment token, which
    must not learn of runs in other environments.
    """

    type: Literal["agent"] = "agent"
    id: str
    account_id: str
    name: str
    description: str | None
    external_identifier: str | None
    status: AgentStatus
    owner_person_id: str | None
    team_id: str | None
    available_actions: AvailableActions
    last_run_at: str | None
    inserted_at: str
    updated_at: str


class AgentDetails(AgentSummary, frozen=True, kw_only=True):
    """An agent. ``instance_counts`` is null without ``include_counts``.

    The rollups are null without ``include_risk_rollup``. A run that costs more than
    ``run_cost_limit`` raises an alert.
    """

    risk_profile_id: str | None
    run_cost_limit: float | None
    instance_counts: InstanceCountsView | None
    theoretical_risk_rollup: RiskRollupView | None = None
    observed_risk_rollup: RiskRollupView | None = None


class AgentShown(Success[AgentDetails], frozen=True, kw_only=True):
    """The answer about an agent. ``risk_rollup`` is present with ``include_risk_rollup`` only."""

    risk_rollup: RiskRollupsView | msgspec.UnsetType = msgspec.UNSET


def agent_summary(record: AgentRecord, caller: Principal, now: int) -> AgentSummary:
    """Return the view of an agent in a list."""
    return AgentSummary(**_fields(record, caller, now))


def agent_details(
    record: AgentRecord, caller: Principal, now: int, counts: InstanceCounts | None
) -> AgentDetails:
    """Return the full view of an agent. ``counts`` are those of its runs."""
    limit = record.agent.run_cost_limit
    return AgentDetails(
        **_fields(record, caller, now),
        risk_profile_id=record.agent.risk_profile_id,
        run_cost_limit=None if limit is None else limit / COST_UNITS,
        instance_counts=None if counts is None else _counts(counts),
    )


def _fields(record: AgentRecord, caller: Principal, now: int) -> dict[str, Any]:
    last_run_at = record.last_registered_at if caller.scope == "account" else None
    agent, status = record.agent, agent_status(record.agent, record.last_registered_at, now)
    return {
        "id": agent.id,
        "account_id": agent.account_id,
        "name": agent.name,
        "description": agent.description,
        "external_identifier": agent.external_identifier,
        "status": status,
        "owner_person_id": agent.owner_person_id,
        "team_id": agent.team_id,
        "available_actions": AvailableActions(
            update=True,
            retire=status != "retired",
            reinstate=status == "retired",
            delete=not record.in_use,
        ),
        "last_run_at": show_optional_time(last_run_at),
        "inserted_at": show_time(agent.inserted_at),
        "updated_at": show_time(agent.updated_at),
    }


def _counts(counts: InstanceCounts) -> InstanceCountsView:
    total = sum(counts)
    return InstanceCountsView(
        **counts._asdict(), total=total, finished=total - counts.pending - counts.active
    )
