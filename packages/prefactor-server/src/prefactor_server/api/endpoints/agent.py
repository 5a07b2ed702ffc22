"""Agents: create, update, retire, reinstate, delete, show and list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from prefactor_server.api.kernel.fields import CostLimit, Name, NewId, NoFields, Text
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import (
    LIST_COST,
    Call,
    Example,
    Parameter,
    Prepared,
    Read,
    Write,
)
from prefactor_server.api.kernel.query import flag
from prefactor_server.api.views.agent import (
    AgentDetails,
    AgentShown,
    AgentSummary,
    agent_details,
    agent_summary,
)
from prefactor_server.api.views.base import (
    Listed,
    Success,
    by_path_id,
    listed,
    show_deleted,
    written_row,
)
from prefactor_server.api.views.risk_rollup import risk_rollup_view, risk_rollups, risk_rollups_view
from prefactor_server.commands.agent import (
    CreateAgent,
    DeleteAgent,
    Pin,
    ReinstateAgent,
    RetireAgent,
    UpdateAgent,
)
from prefactor_server.commands.base import Command, Done
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.errors import (
    BadRequest,
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.listing import LAST_RUN_AT, Filter
from prefactor_server.domain.runs.run_total import cost_units
from prefactor_server.domain.search.words import MAX_QUERY, MAX_TERMS
from prefactor_server.queries.agent import AgentRecord


class AgentFields(msgspec.Struct, kw_only=True):
    """A new agent."""

    name: Name
    description: Text | None = None
    external_identifier: Name | None = None
    id: NewId | None = None
    owner_person_id: Name | None = None
    risk_profile_id: Name | None = None
    run_cost_limit: CostLimit | msgspec.UnsetType | None = msgspec.UNSET
    team_id: Name | None = None


class AgentUpdateFields(msgspec.Struct, kw_only=True):
    """Changes to an agent. Omitted fields stay as they are.

    Null clears an owner, a profile, a limit or a team. ``current_version_id`` is set on the
    deployment in the account's default environment.
    """

    name: Name | msgspec.UnsetType | None = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    owner_person_id: Name | msgspec.UnsetType | None = msgspec.UNSET
    risk_profile_id: Name | msgspec.UnsetType | None = msgspec.UNSET
    run_cost_limit: CostLimit | msgspec.UnsetType | None = msgspec.UNSET
    team_id: Name | msgspec.UnsetType | None = msgspec.UNSET
    current_version_id: Name | msgspec.UnsetType | None = msgspec.UNSET


_LIST = ListQuery(
    filters=(
        FilterParameter(
            Parameter("risk_profile_id", "The risk profile, or null for none."),
            "risk_profile_id",
            or_null=True,
        ),
        FilterParameter(
            Parameter("team_id", "The team, or null for none."), "team_id", or_null=True
        ),
        FilterParameter(
            Parameter("owner_person_id", "The owner, or null for none."),
            "owner_person_id",
            or_null=True,
        ),
        FilterParameter(
            Parameter("environment_id", "An environment that the agent was deployed in."),
            "environment_id",
        ),
    ),
    sorts=("id", "name", "external_identifier", "inserted_at", "updated_at", LAST_RUN_AT),
    # The latest run of each agent is a look-up in an index: 15 ms for 10,000 agents.
    sort_cost=20,
)
_TEXT: Final = Parameter(
    "text",
    "Words that the agent's name, description or external identifier contain, in any order and "
    "in upper or lower case. The agent's id counts as well, if it is complete.",
    schema={"type": "string", "maxLength": MAX_QUERY},
    cost=100,
)
_COUNTS = (
    Parameter("environment_id", "The environment to count runs in; all of them by default."),
    Parameter("include_counts", "Whether to count the agent's runs.", schema={"type": "boolean"}),
    Parameter(
        "include_risk_rollup",
        "Whether to include the declared and the recorded risk.",
        schema={"type": "boolean"},
    ),
)


async def _prepare_create(call: Call, body: AgentFields) -> Prepared:
    limit = body.run_cost_limit
    command = CreateAgent(
        request=call.request(),
        id=body.id or call.new_id(),
        name=body.name,
        description=body.description,
        external_identifier=body.external_identifier,
        owner_person_id=body.owner_person_id,
        risk_profile_id=body.risk_profile_id,
        team_id=body.team_id,
        run_cost_limit=None if limit is msgspec.UNSET else _units(limit),
    )

    def reply(done: Done) -> Success[AgentDetails]:
        row = written_row(done, Agent)
        return Success(
            details=agent_details(AgentRecord(row, None), call.principal, call.now, None)
        )

    return Prepared(command, reply)


async def _prepare_update(call: Call, body: AgentUpdateFields) -> Prepared:
    changes = {name: value for name, value in asdict(body).items() if value is not msgspec.UNSET}
    if "run_cost_limit" in changes:
        changes["run_cost_limit"] = _units(changes["run_cost_limit"])
    pin = None
    if "current_version_id" in changes:
        environment = await call.services.reader.environments.default(call.principal)
        pin = Pin(environment.id, changes.pop("current_version_id"))
    for name in ("name", "description"):
        # These can be replaced, but not removed.
        if changes.get(name, "") is None:
            del changes[name]
    agent_id = await call.services.reader.agents.resolve_id(call.principal, call.path_id)
    return _prepared(call, UpdateAgent(call.request(), call.path_id, agent_id, changes, pin))


def _prepare_with(
    command: type[RetireAgent | ReinstateAgent | DeleteAgent],
) -> Callable[[Call, NoFields], Awaitable[Prepared]]:
    async def prepare(call: Call, body: NoFields) -> Prepared:
        del body
        agent_id = await call.services.reader.agents.resolve_id(call.principal, call.path_id)
        return _prepared(call, command(call.request(), call.path_id, agent_id))

    return prepare


def _units(amount: float | None) -> int | None:
    return None if amount is None else cost_units(amount)


def _prepared(call: Call, command: Command) -> Prepared:
    def reply(done: Done) -> Success[AgentDetails]:
        row = written_row(done, AgentRecord)
        return Success(details=agent_details(row, call.principal, call.now, None))

    return Prepared(command, reply)


async def show_agent(call: Call, agent_id: str) -> AgentShown:
    """Return the answer about an agent, by its id or its external identifier."""
    record = await call.services.reader.agents.show(call.principal, agent_id)
    counts = None
    if flag(call.query, "include_counts"):
        counts = await call.services.reader.agents.instance_counts(
            call.principal, record.agent.id, call.query.get("environment_id")
        )
    details = agent_details(record, call.principal, call.now, counts)
    if not flag(call.query, "include_risk_rollup"):
        return AgentShown(details=details)
    rollups = await risk_rollups(call, record.agent.id)
    details = msgspec.structs.replace(
        details,
        theoretical_risk_rollup=risk_rollup_view(rollups.theoretical),
        observed_risk_rollup=risk_rollup_view(rollups.observed),
    )
    return AgentShown(details=details, risk_rollup=risk_rollups_view(rollups))


async def _show(call: Call) -> AgentShown:
    agent_id, external = call.query.get("agent_id"), call.query.get("external_identifier")
    if (agent_id is None) == (external is None):
        raise BadRequest("Send exactly one of agent_id and external_identifier")
    found = await show_agent(call, agent_id or external or "")
    if external is not None and found.details.external_identifier != external:
        raise NotFound(f"Agent {external!r} not found")
    return found


async def _list(call: Call) -> Listed[AgentSummary]:
    listing = _LIST.read(call.query, *_contained(call.query.get("text", "")))
    page = await call.services.reader.agents.page(call.principal, listing)
    return listed(
        listing, page, [agent_summary(record, call.principal, call.now) for record in page.rows]
    )


def _contained(text: str) -> Iterator[Filter]:
    if len(text) > MAX_QUERY:
        raise invalid("text", f"must have at most {MAX_QUERY} characters, got {len(text)}")
    words = list(dict.fromkeys(text.split()))
    if len(words) > MAX_TERMS:
        raise invalid("text", f"must have at most {MAX_TERMS} words, got {len(words)}")
    for word in words:
        yield Filter("text", "contains", word)


# Older servers stored an environment and a version with each agent.
_OLDER_MEMBERS: Final = frozenset({"environment_id", "current_schema_version_id"})
_BY_ID: Final = "/api/v1/agent/{agent_id}"
_CHANGE: Final[dict[str, Any]] = {
    "access": "account",
    "reply": Success[AgentDetails],
    "refusals": (NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
    "show": show_agent,
}
_DELETE: Final[dict[str, Any]] = {**_CHANGE, "show": show_deleted("agent")}
_ONCE: Final = (Example("With an idempotency key", {"idempotency_key": "once-0001"}),)

OPERATIONS = (
    Write(
        name="agents.create",
        method="POST",
        path="/api/v1/agent",
        right="administer",
        summary="Create an agent",
        description="The external identifier is unique in the account.",
        access="account",
        reply=Success[AgentDetails],
        refusals=(InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=AgentFields,
        wrapped=True,
        prepare=_prepare_create,
        show=show_agent,
        legacy_fields=_OLDER_MEMBERS,
        examples=(
            Example("An agent", {"details": {"name": "Support", "external_identifier": "support"}}),
        ),
    ),
    Write(
        **_CHANGE,
        name="agents.update",
        method="PUT",
        path=_BY_ID,
        right="administer",
        summary="Change an agent",
        description=(
            "Omitted fields stay as they are. Null clears owner_person_id, risk_profile_id, "
            "run_cost_limit and team_id, and leaves name and description. current_version_id is "
            "set on the agent's deployment in the default environment."
        ),
        body=AgentUpdateFields,
        wrapped=True,
        prepare=_prepare_update,
        legacy_fields=_OLDER_MEMBERS,
        examples=(Example("A new name and no team", {"details": {"name": "S", "team_id": None}}),),
    ),
    Write(
        **_CHANGE,
        name="agents.retire",
        method="POST",
        path=f"{_BY_ID}/retire",
        right="administer",
        summary="Retire an agent",
        description="It can no longer register runs. Its records are kept.",
        body=NoFields,
        prepare=_prepare_with(RetireAgent),
        examples=_ONCE,
    ),
    Write(
        **_CHANGE,
        name="agents.reinstate",
        method="POST",
        path=f"{_BY_ID}/reinstate",
        right="administer",
        summary="Reinstate a retired agent",
        body=NoFields,
        prepare=_prepare_with(ReinstateAgent),
        examples=_ONCE,
    ),
    Write(
        **_DELETE,
        name="agents.delete",
        method="DELETE",
        path=_BY_ID,
        right="administer",
        summary="Delete an agent",
        description=(
            "Returns the deleted agent. An agent that has runs, versions or deployments cannot be "
            "deleted."
        ),
        body=NoFields,
        prepare=_prepare_with(DeleteAgent),
        examples=_ONCE,
    ),
    Read(
        name="agents.list",
        cost=LIST_COST,
        method="GET",
        path="/api/v1/agent",
        right="read",
        summary="List agents",
        reply=Listed[AgentSummary],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(_TEXT),
        answer=_list,
    ),
    Read(
        name="agents.show",
        method="GET",
        path="/api/v1/agent/show",
        right="read",
        summary="Find an agent by its id or its external identifier",
        description="Takes exactly one of the two.",
        reply=AgentShown,
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
        right="read",
        summary="Show an agent",
        description="The id in the path may be the agent's external identifier.",
        reply=AgentShown,
        refusals=(NotFound, ValidationFailed),
        parameters=_COUNTS,
        answer=by_path_id(show_agent),
    ),
)
