"""Agents: create, update, retire, reinstate, delete, show and list."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec.structs import asdict

from prefactor_server.api.deleted import show_deleted
from prefactor_server.api.fields import Name, NewId, NoFields, Text
from prefactor_server.api.listing import FilterBy, ListOf
from prefactor_server.api.operation import Call, Example, Parameter, Prepared, Read, Write
from prefactor_server.api.query import flag
from prefactor_server.api.risk_rollup import RiskRollupView, risk_rollups
from prefactor_server.api.views import Listed, Success, listed, show_time
from prefactor_server.commands.agent import (
    CreateAgent,
    DeleteAgent,
    ReinstateAgent,
    RetireAgent,
    UpdateAgent,
)
from prefactor_server.commands.base import Command, Done
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
    id: NewId | None = None
    owner_person_id: Name | None = None
    risk_profile_id: Name | None = None
    team_id: Name | None = None


class AgentUpdateFields(msgspec.Struct, kw_only=True):
    """What is to be different; what is left out stays. Null clears an owner, profile or team."""

    name: Name | msgspec.UnsetType | None = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    owner_person_id: Name | msgspec.UnsetType | None = msgspec.UNSET
    risk_profile_id: Name | msgspec.UnsetType | None = msgspec.UNSET
    team_id: Name | msgspec.UnsetType | None = msgspec.UNSET


class AvailableActions(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's status and use allow."""

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
    """An agent by itself. ``instance_counts`` is null unless ``include_counts`` asks for it.

    So are the rollups unless ``include_risk_rollup`` does.
    """

    risk_profile_id: str | None
    instance_counts: InstanceCountsView | None
    theoretical_risk_rollup: RiskRollupView | None = None
    observed_risk_rollup: RiskRollupView | None = None


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
    Parameter(
        "include_risk_rollup",
        "Whether to add up what its span types declare and what was recorded.",
        schema={"type": "boolean"},
    ),
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


async def _prepare_update(call: Call, body: AgentUpdateFields) -> Prepared:
    given = {name: value for name, value in asdict(body).items() if value is not msgspec.UNSET}
    for name in ("name", "description"):
        # These can be replaced and not be taken away.
        if given.get(name, "") is None:
            del given[name]
    agent_id = await call.services.reader.agents.id_of(call.principal, call.path_id)
    return _prepared(call, UpdateAgent(call.request(), call.path_id, agent_id, given))


async def _prepare_retire(call: Call, body: NoFields) -> Prepared:
    del body
    agent_id = await call.services.reader.agents.id_of(call.principal, call.path_id)
    return _prepared(call, RetireAgent(call.request(), call.path_id, agent_id))


async def _prepare_reinstate(call: Call, body: NoFields) -> Prepared:
    del body
    agent_id = await call.services.reader.agents.id_of(call.principal, call.path_id)
    return _prepared(call, ReinstateAgent(call.request(), call.path_id, agent_id))


async def _prepare_delete(call: Call, body: NoFields) -> Prepared:
    del body
    agent_id = await call.services.reader.agents.id_of(call.principal, call.path_id)
    return _prepared(call, DeleteAgent(call.request(), call.path_id, agent_id))


def _prepared(call: Call, command: Command) -> Prepared:
    def reply(done: Done) -> Success[AgentDetails]:
        if not isinstance(done.row, AgentRecord):
            raise TypeError(done.row)
        return Success(details=_details(done.row, call.now, None))

    return Prepared(command, reply)


async def show_agent(call: Call, agent_id: str) -> Success[AgentDetails]:
    """The answer about an agent, known by its id or its external identifier."""
    record = await call.services.reader.agents.show(call.principal, agent_id)
    counts = None
    if flag(call.query, "include_counts"):
        counts = await call.services.reader.agents.instance_counts(
            call.principal, record.agent.id, call.query.get("environment_id")
        )
    details = _details(record, call.now, counts)
    if flag(call.query, "include_risk_rollup"):
        theoretical, observed = await risk_rollups(call, record.agent.id)
        details = msgspec.structs.replace(
            details, theoretical_risk_rollup=theoretical, observed_risk_rollup=observed
        )
    return Success(details=details)


async def _get(call: Call) -> Success[AgentDetails]:
    return await show_agent(call, call.path_id)


async def _show(call: Call) -> Success[AgentDetails]:
    agent_id, external = call.query.get("agent_id"), call.query.get("external_identifier")
    if (agent_id is None) == (external is None):
        raise BadRequest("Send exactly one of agent_id and external_identifier")
    found = await show_agent(call, agent_id or external or "")
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
            delete=not record.in_use,
        ),
        "inserted_at": show_time(agent.inserted_at),
        "updated_at": show_time(agent.updated_at),
    }


def _counts(counts: InstanceCounts) -> InstanceCountsView:
    total = sum(counts)
    return InstanceCountsView(
        **counts._asdict(), total=total, finished=total - counts.pending - counts.active
    )


# An agent once belonged to an environment, and had a version of its own.
_OLDER_MEMBERS: Final = frozenset({"environment_id", "current_schema_version_id"})
_BY_ID: Final = "/api/v1/agent/{agent_id}"
_CHANGE: Final[dict[str, Any]] = {
    "access": "account",
    "reply": Success[AgentDetails],
    "refusals": (NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
    "show": show_agent,
}
_DELETE: Final[dict[str, Any]] = {**_CHANGE, "show": show_deleted("agent")}
_ONCE: Final = (Example("Once, however often it is sent", {"idempotency_key": "once-0001"}),)

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
        show=show_agent,
        older_members=_OLDER_MEMBERS,
        examples=(
            Example("An agent", {"details": {"name": "Support", "external_identifier": "support"}}),
        ),
    ),
    Write(
        **_CHANGE,
        name="agents.update",
        method="PUT",
        path=_BY_ID,
        summary="Change an agent",
        description=(
            "What is left out stays as it is. Null clears owner_person_id, risk_profile_id and "
            "team_id, and leaves name and description. Needs an account token."
        ),
        body=AgentUpdateFields,
        wrapped=True,
        prepare=_prepare_update,
        older_members=_OLDER_MEMBERS,
        examples=(Example("A new name and no team", {"details": {"name": "S", "team_id": None}}),),
    ),
    Write(
        **_CHANGE,
        name="agents.retire",
        method="POST",
        path=f"{_BY_ID}/retire",
        summary="Retire an agent",
        description="It registers no more runs; what it recorded stays. Needs an account token.",
        body=NoFields,
        prepare=_prepare_retire,
        examples=_ONCE,
    ),
    Write(
        **_CHANGE,
        name="agents.reinstate",
        method="POST",
        path=f"{_BY_ID}/reinstate",
        summary="Take a retired agent back into service",
        description="Needs an account token.",
        body=NoFields,
        prepare=_prepare_reinstate,
        examples=_ONCE,
    ),
    Write(
        **_DELETE,
        name="agents.delete",
        method="DELETE",
        path=_BY_ID,
        summary="Delete an agent",
        description=(
            "Answers with the agent as it last was. One that has runs, versions or deployments "
            "cannot be deleted. Needs an account token."
        ),
        body=NoFields,
        prepare=_prepare_delete,
        examples=_ONCE,
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
