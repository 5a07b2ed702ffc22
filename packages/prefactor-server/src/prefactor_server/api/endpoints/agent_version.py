"""Versions: the releases of an agent, each bound to one schema version."""

from __future__ import annotations

from typing import Any, Final, Literal, cast

import msgspec

from prefactor_server.api.kernel.fields import JsonObject, Name, NewId, Text
from prefactor_server.api.kernel.listing import (
    AGENT_PARAMETER,
    FilterParameter,
    ListQuery,
    agent_filter,
)
from prefactor_server.api.kernel.operation import (
    LIST_COST,
    Call,
    Example,
    Parameter,
    Prepared,
    Read,
    Write,
)
from prefactor_server.api.kernel.schema_declaration import empty_schema
from prefactor_server.api.views.base import Listed, Success, by_path_id, listed, show_time
from prefactor_server.commands.agent_instance_register import VersionMetadata
from prefactor_server.commands.agent_version import CreateVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
)
from prefactor_server.queries.in_use import VersionUse

_encoder: Final = msgspec.json.Encoder(order="deterministic")


class NewAgentVersionFields(msgspec.Struct, kw_only=True):
    """A new version. Its name and description become those of the agent."""

    agent_id: Name
    external_identifier: Name
    agent_schema_version_id: Name | None = None
    id: NewId | None = None
    name: Name | None = None
    description: Text | None = None
    runtime_environment: JsonObject | None = None


class AgentVersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an agent.

    ``external_identifier_repeats`` counts the agent's versions with this identifier, including
    this one. ``current_agent_deployment_refs`` are the ids of the deployments where it is current.
    """

    type: Literal["agent_version"] = "agent_version"
    id: str
    account_id: str
    agent_id: str
    agent_schema_version_id: str
    external_identifier: str | None
    external_identifier_repeats: int
    current_agent_deployment_refs: list[str]
    name: str | None
    description: str | None
    runtime_environment: dict[str, Any] | None
    inserted_at: str
    updated_at: str


_LIST = ListQuery(
    filters=(
        FilterParameter(
            Parameter("external_identifier", "The client's own identifier of the version."),
            "external_identifier",
        ),
        FilterParameter(
            Parameter("agent_schema_version_id", "The schema version."), "agent_schema_version_id"
        ),
    ),
    sorts=("id", "external_identifier", "name", "inserted_at", "updated_at"),
)


async def _prepare_create(call: Call, body: NewAgentVersionFields) -> Prepared:
    newest = None
    if body.agent_schema_version_id is None:
        reader = call.services.reader.agent_schema_versions
        newest = await reader.newest(call.principal, body.agent_id)
    runtime = body.runtime_environment
    command = CreateVersion(
        request=call.request(),
        id=body.id or call.new_id(),
        chosen_id=body.id is not None,
        agent_ref=body.agent_id,
        metadata=VersionMetadata(
            external_identifier=body.external_identifier,
            name=body.name,
            description=body.description,
            runtime_environment=None if runtime is None else _encoder.encode(runtime),
        ),
        agent_schema_version_id=body.agent_schema_version_id,
        newest=newest,
        empty_schema=empty_schema(call.principal.account_id),
        new_schema_version_id=call.new_id(),
    )
    return Prepared(command)


async def show_version(call: Call, version_id: str) -> Success[AgentVersionView]:
    """Return the answer about a version."""
    record = await call.services.reader.agent_versions.show(call.principal, version_id)
    return Success(details=_view(record))


async def _list(call: Call) -> Listed[AgentVersionView]:
    listing = _LIST.read(call.query, await agent_filter(call))
    page, records = await call.services.reader.agent_versions.page(call.principal, listing)
    return listed(listing, page, [_view(record) for record in records])


def _view(record: VersionUse[AgentVersion]) -> AgentVersionView:
    version = record.row
    runtime = version.runtime_environment
    return AgentVersionView(
        id=version.id,
        account_id=version.account_id,
        agent_id=version.agent_id,
        agent_schema_version_id=version.agent_schema_version_id,
        external_identifier=version.external_identifier,
        external_identifier_repeats=record.repeats,
        current_agent_deployment_refs=list(record.deployment_ids),
        name=version.name,
        description=version.description,
        runtime_environment=(
            None if runtime is None else cast("dict[str, Any]", msgspec.json.decode(runtime))
        ),
        inserted_at=show_time(version.inserted_at),
        updated_at=show_time(version.updated_at),
    )


_PATH: Final = "/api/v1/agent_version"

OPERATIONS = (
    Read(
        name="agent_versions.list",
        cost=LIST_COST,
        method="GET",
        path=_PATH,
        right="read",
        summary="List versions of an agent",
        reply=Listed[AgentVersionView],
        refusals=(ValidationFailed,),
        parameters=(AGENT_PARAMETER, *_LIST.parameters()),
        answer=_list,
    ),
    Read(
        name="agent_versions.show",
        method="GET",
        path=f"{_PATH}/{{agent_version_id}}",
        right="read",
        summary="Show a version",
        reply=Success[AgentVersionView],
        refusals=(NotFound,),
        answer=by_path_id(show_version),
    ),
    Write(
        name="agent_versions.create",
        method="POST",
        path=_PATH,
        right="administer",
        summary="Create a version",
        description=(
            "Without agent_schema_version_id, the version is bound to the schema version that the "
            "agent declared last. If the agent has an equal version, that one is returned and no "
            "other is created."
        ),
        access="account",
        reply=Success[AgentVersionView],
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=NewAgentVersionFields,
        wrapped=True,
        prepare=_prepare_create,
        show=show_version,
        examples=(
            Example(
                "A release",
                {"details": {"agent_id": "support", "external_identifier": "v1.2.0"}},
            ),
        ),
    ),
)
