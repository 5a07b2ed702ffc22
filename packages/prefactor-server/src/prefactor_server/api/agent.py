"""Agents: create, show and list."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from prefactor_server.api.fields import ClientId, Name, Text
from prefactor_server.api.listing import FilterBy, ListOf
from prefactor_server.api.operation import Call, Example, Parameter, Prepared, Read, Write
from prefactor_server.api.query import flag
from prefactor_server.api.views import Listed, Success, listed, show_time
from prefactor_server.commands.agent import CreateAgent
from prefactor_server.commands.base import Done
from prefactor_server.domain.agent import Agent, AgentStatus, agent_status
from prefactor_server.domain.errors import (
    BadRequest,
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
)
from prefactor_server.queries.agent import AgentRecord, InstanceCounts


class AgentFields(msgspec.Struct, kw_only=True):
    """A new agent."""

    name: Name
    description: Text | None = None
    external_identifier: Name | None = None
    id: ClientId | None = None
    owner_person_id: Name | None = None
    risk_profile_id: Name | None = None
    team_id: Name | None = None


class AvailableActions(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's status allows."""

    update: bool
    retire: bool
    reinstate: bool
    delete: bool


class InstanceCountsView(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs an agent has; ``finished`` counts those that have ended, however they did."""

    total: int
    pending: int
    active: int
    complete: int
    failed: int
    cancelled: int
    terminated: int
    finished: int


class AgentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An agent on a list."""

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
    inserted_at: str
    updated_at: str


class AgentDetails(AgentSummary, frozen=True, kw_only=True):
    """An agent by itself. ``instance_counts`` is null unless ``include_counts`` asks for it."""

    risk_profile_id: str | None
    instance_counts: InstanceCountsView | None


_LIST = ListOf(
    filters=(
        FilterBy(
            Parameter("risk_profile_id", "The risk profile, or null for none."),
            "risk_profile_id",
            or_null=True,
        ),
        FilterBy(Parameter("team_id", "The team, or null for none."), "team_id", or_null=True),
        FilterBy(
            Parameter("owner_person_id", "The owner, or null for none."),
            "owner_person_id",
            or_null=True,
        ),
        FilterBy(
            Parameter("environment_id", "An environment that the agent was deployed in."),
            "environment_id",
        ),
    ),
    sorts=("id", "name", "external_identifier", "inserted_at", "updated_at"),
)
_COUNTS = (
    Parameter("environment_id", "The environment to count runs in; all of them by default."),
    Parameter("include_counts", "Whether to count the agent's runs.", schema={"type": "boolean"}),
)


async def _prepare_create(call: Call, body: AgentFields) -> Prepared:
    command = CreateAgent(
        request=call.request(),
        id=body.id or call.fresh_id(),
        name=body.name,
        description=body.description,
        external_identifier=body.external_identifier,
        owner_person_id=body.owner_person_id,
        risk_profile_id=body.risk_profile_id,
        team_id=body.team_id,
    )

    def reply(done: Done) -> Success[AgentDetails]:
        if not isinstance(done.row, Agent):
            raise TypeError(done.row)
        return Success(details=_details(AgentRecord(done.row, None), call.now, None))

    return Prepared(command, reply)


async def _show_by_id(call: Call, agent_id: str) -> Success[AgentDetails]:
    record = await call.services.reader.agents.show(call.principal, agent_id)
    counts = None
    if flag(call.query, "include_counts"):
        counts = await call.services.reader.agents.instance_counts(
            call.principal, record.agent.id, call.query.get("environment_id")
        )
    return Success(details=_details(record, call.now, counts))


async def _get(call: Call) -> Success[AgentDetails]:
    return await _show_by_id(call, call.path_id)


async def _show(call: Call) -> Success[AgentDetails]:
    agent_id, external = call.query.get("agent_id"), call.query.get("external_identifier")
    if (agent_id is None) == (external is None):
        raise BadRequest("Send exactly one of agent_id and external_identifier")
    found = await _show_by_id(call, agent_id or external or "")
    if external is not None and found.details.external_identifier != external:
        raise NotFound(f"Agent {external!r} not found")
    return found


async def _list(call: Call) -> Listed[AgentSummary]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.agents.page(call.principal, listing)
    return listed(listing, page, [_summary(record, call.now) for record in page.rows])


def _summary(record: AgentRecord, now: int) -> AgentSummary:
    return AgentSummary(**_fields(record, now))


def _details(record: AgentRecord, now: int, counts: InstanceCounts | None) -> AgentDetails:
    return AgentDetails(
        **_fields(record, now),
        risk_profile_id=record.agent.risk_profile_id,
        instance_counts=None if counts is None else _counts(counts),
    )


def _fields(record: AgentRecord, now: int) -> dict[str, Any]:
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
            delete=record.last_registered_at is None,
        ),
        "inserted_at": show_time(agent.inserted_at),
        "updated_at": show_time(agent.updated_at),
    }


def _counts(counts: InstanceCounts) -> InstanceCountsView:
    total = sum(counts)
    return InstanceCountsView(
        **counts._asdict(), total=total, finished=total - counts.pending - counts.active
    )


OPERATIONS = (
    Write(
        name="agents.create",
        method="POST",
        path="/api/v1/agent",
        summary="Create an agent",
        description="Needs an account token. The external identifier is unique in the account.",
        access="account",
        reply=Success[AgentDetails],
        refusals=(InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=AgentFields,
        wrapped=True,
        prepare=_prepare_create,
        show=_show_by_id,
        examples=(
            Example("An agent", {"details": {"name": "Support", "external_identifier": "support"}}),
        ),
    ),
    Read(
        name="agents.list",
        method="GET",
        path="/api/v1/agent",
        summary="List agents",
        reply=Listed[AgentSummary],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
    Read(
        name="agents.show",
        method="GET",
        path="/api/v1/agent/show",
        summary="Find an agent by its id or its external identifier",
        description="Takes exactly one of the two.",
        reply=Success[AgentDetails],
        refusals=(NotFound, ValidationFailed),
        parameters=(
            Parameter("agent_id", "The agent's id, or its external identifier."),
            Parameter("external_identifier", "The agent's external identifier."),
            *_COUNTS,
        ),
        answer=_show,
    ),
    Read(
        name="agents.get",
        method="GET",
        path="/api/v1/agent/{agent_id}",
        summary="Show an agent",
        description="The id in the path may be the agent's external identifier.",
        reply=Success[AgentDetails],
        refusals=(NotFound, ValidationFailed),
        parameters=_COUNTS,
        answer=_get,
    ),
)
