"""Agents: the programs whose runs are recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from prefactor_http.models.base import ReplyModel, RequestModel


class AgentForCreate(RequestModel):
    """A new agent."""

    name: str
    description: str | None = None
    external_identifier: str | None = None
    id: str | None = None
    owner_person_id: str | None = None
    risk_profile_id: str | None = None
    run_cost_limit: float | None = None
    """The cost of a run above which an alert is raised."""
    team_id: str | None = None


class AgentForUpdate(RequestModel):
    """Changes to an agent. Fields that are not given do not change; None clears a field."""

    name: str | None = None
    description: str | None = None
    owner_person_id: str | None = None
    risk_profile_id: str | None = None
    run_cost_limit: float | None = None
    team_id: str | None = None
    current_version_id: str | None = None
    """The version that is current in the default environment."""

    def to_body(self) -> dict[str, Any]:
        """Return exactly the fields that were given, including None."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class AgentAvailableActions(ReplyModel):
    """The actions that are possible now."""

    update: bool = False
    retire: bool = False
    reinstate: bool = False
    delete: bool = False


class AgentInstanceCounts(ReplyModel):
    """The number of instances by status; `finished` counts all that have ended."""

    total: int = 0
    pending: int = 0
    active: int = 0
    complete: int = 0
    failed: int = 0
    cancelled: int = 0
    terminated: int = 0
    finished: int = 0


class AgentSummary(ReplyModel):
    """An agent in a list; `status` is pending, active, dormant or retired."""

    type: Literal["agent"] = "agent"
    id: str
    name: str | None = None
    account_id: str | None = None
    description: str | None = None
    external_identifier: str | None = None
    status: str | None = None
    owner_person_id: str | None = None
    team_id: str | None = None
    available_actions: AgentAvailableActions | None = None
    last_run_at: datetime | None = None
    """When its latest run was registered; None without a run, and for a deployment token."""
    inserted_at: datetime | None = None
    updated_at: datetime | None = None


class Agent(AgentSummary):
    """An agent with all its fields."""

    risk_profile_id: str | None = None
    run_cost_limit: float | None = None
    instance_counts: AgentInstanceCounts | None = None
    theoretical_risk_rollup: dict[str, Any] | None = None
    observed_risk_rollup: dict[str, Any] | None = None
    risk_rollup: dict[str, Any] | None = None
    """`observed_risk` and `theoretical_risk`, if requested."""
