"""The registration of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from prefactor_server.api.endpoints.runs.agent_instance import show, written_by
from prefactor_server.api.kernel.errors import nest_errors
from prefactor_server.api.kernel.fields import JsonObject, Metadata, Name, NewId, Text
from prefactor_server.api.kernel.operation import Call, Example, Prepared, Write
from prefactor_server.api.kernel.schema_declaration import (
    SchemaVersionFields,
    declare,
    empty_schema,
)
from prefactor_server.api.kernel.span_preparation import RunFacts
from prefactor_server.api.views.agent_instance import InstanceWritten
from prefactor_server.api.views.base import written_row
from prefactor_server.commands.agent_instance_register import (
    DeclaredSchema,
    NewIds,
    RegisterInstance,
    VersionMetadata,
)
from prefactor_server.commands.base import Done
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    NotPermitted,
    ValidationFailed,
    required,
)
from prefactor_server.domain.runs.agent_instance import AgentInstance, Purpose
from prefactor_server.payloads import decode_document

_encoder: Final = msgspec.json.Encoder(order="deterministic")


class AgentVersionFields(msgspec.Struct, kw_only=True):
    """The agent's release, as a registration reports it."""

    name: Name | None = None
    external_identifier: Name | None = None
    description: Text | None = None
    runtime_environment: JsonObject | None = None


class RegisterFields(msgspec.Struct, kw_only=True):
    """A run to register. A deployment token implies the agent and the environment."""

    agent_id: Name | None = None
    environment_id: Name | None = None
    agent_version: AgentVersionFields | None = None
    agent_schema_version: SchemaVersionFields | None = None
    id: NewId | None = None
    external_identifier: Name | None = None
    purpose: Purpose | None = None
    update_current_version: bool | None = None
    # Unset rather than null, so that requests without it keep the fingerprint of older servers.
    metadata: Metadata | msgspec.UnsetType | None = msgspec.UNSET


class BoundSchemaVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The schema version that a run was bound to, without its schemas."""

    type: Literal["agent_schema_version"] = "agent_schema_version"
    id: str
    account_id: str
    agent_id: str
    external_identifier: str | None
    span_schemas_count: int


class _Binding(NamedTuple):
    """The parts of a request that determine the schema version of its run."""

    agent_ref: str
    environment_id: str | None
    content_hash: bytes | None


class InstanceRegistered(InstanceWritten, frozen=True, kw_only=True):
    """The answer to a registration.

    ``agent_schema_version`` is present if the request declared one and was not repeated.
    """

    agent_schema_version: BoundSchemaVersion | msgspec.UnsetType = msgspec.UNSET


async def _prepare(call: Call, body: RegisterFields) -> Prepared:
    agent_ref = await _agent_ref(call, body.agent_id)
    account_id = call.principal.account_id
    await call.work.pause()
    schema = await _declared(call, body.agent_schema_version)
    await call.work.pause()
    command = RegisterInstance(
        request=call.request(),
        principal=call.principal,
        id=body.id or call.new_run_id(),
        agent_ref=agent_ref,
        environment_id=_environment_id(call, body.environment_id),
        metadata=_metadata(body.agent_version),
        schema=schema,
        empty_schema=empty_schema(account_id),
        update_current_version=body.update_current_version is not False,
        purpose=body.purpose or "live",
        external_identifier=body.external_identifier,
        new_ids=NewIds(call.new_id(), call.new_id(), call.new_id(), call.new_id()),
        create_agent=may_create_agent(call),
        run_metadata=body.metadata or {},
    )
    assume_binding(call, command)

    answer = written_by(call)

    def reply(done: Done) -> InstanceRegistered:
        row = written_row(done, AgentInstance)
        remember_binding(call, command, row)
        return InstanceRegistered(
            details=answer(done).details, agent_schema_version=_bound(command.schema, row)
        )

    return Prepared(command, reply)


def _bound(
    declared: DeclaredSchema | None, run: AgentInstance
) -> BoundSchemaVersion | msgspec.UnsetType:
    # Without the schemas, because the caller has just sent them.
    if declared is None:
        return msgspec.UNSET
    return BoundSchemaVersion(
        id=run.agent_schema_version_id,
        account_id=run.account_id,
        agent_id=run.agent_id,
        external_identifier=declared.external_identifier,
        span_schemas_count=declared.span_type_count,
    )


async def _agent_ref(call: Call, agent_id: str | None) -> str:
    own = call.principal.agent_id
    if own is None:
        if agent_id is None:
            raise required("agent_id")
        return agent_id
    if agent_id in (None, own):
        return own
    record = await call.services.reader.agents.show(call.principal, own)
    if record.agent.external_identifier != agent_id:
        raise NotPermitted(f"agent_id: the token belongs to a different agent than {agent_id!r}")
    return own


def _environment_id(call: Call, environment_id: str | None) -> str | None:
    own = call.principal.environment_id
    if own is not None and environment_id not in (None, own):
        raise NotPermitted(
            f"environment_id: the token belongs to a different environment than {environment_id!r}"
        )
    return own or environment_id


async def _declared(call: Call, fields: SchemaVersionFields | None) -> DeclaredSchema | None:
    try:
        return await declare(call.principal.account_id, fields, call.work)
    except ValidationFailed as refusal:
        raise nest_errors("agent_schema_version", refusal) from None


def _metadata(fields: AgentVersionFields | None) -> VersionMetadata | None:
    if fields is None:
        return None
    runtime = fields.runtime_environment
    metadata = VersionMetadata(
        external_identifier=fields.external_identifier,
        name=fields.name,
        description=fields.description,
        runtime_environment=None if runtime is None else _encoder.encode(runtime),
    )
    return None if metadata == VersionMetadata() else metadata


def may_create_agent(call: Call) -> bool:
    """Return whether a registration by this caller creates a missing agent."""
    return (
        call.services.limits.auto_create_agents
        and call.principal.scope == "account"
        and call.principal.role == "admin"
    )


def assume_binding(call: Call, command: RegisterInstance) -> None:
    """Note, for later writes of the same request, the schema version that the run probably gets.

    That is the version that the last such registration was bound to, or else a new one. If the
    assumption is wrong, those writes detect it and are prepared again.
    """
    declared, pending, span_preparer = command.schema, call.pending, call.services.span_preparer
    version_id = span_preparer.likely_binding(call.principal, _binding(command), pending)
    if declared is None and version_id is not None:
        pending.runs[command.id] = RunFacts(version_id, command.purpose)
        return
    version_id = version_id or command.new_ids.schema_version
    content = (declared or command.empty_schema).content
    document = decode_document(content.codec, content.body)
    pending.runs[command.id] = RunFacts(version_id, command.purpose)
    pending.bindings.update(dict.fromkeys(_bindings(command), version_id))
    pending.contents[version_id] = document


def remember_binding(call: Call, command: RegisterInstance, run: AgentInstance) -> None:
    """Cache the schema version that a run was bound to, for its spans and for later runs."""
    span_preparer, version_id = call.services.span_preparer, run.agent_schema_version_id
    span_preparer.remember_run(call.principal, run.id, RunFacts(version_id, run.purpose))
    for binding in _bindings(command):
        span_preparer.remember_binding(call.principal, binding, version_id)


def _bindings(command: RegisterInstance) -> Sequence[_Binding]:
    """Return the registrations that will be bound to the same schema version as this one.

    These are those with the same declaration and, because a run makes its version current, those
    without one.
    """
    own = _binding(command)
    return (own, own._replace(content_hash=None)) if command.update_current_version else (own,)


def _binding(command: RegisterInstance) -> _Binding:
    return _Binding(command.agent_ref, command.environment_id, _content_hash(command.schema))


def _content_hash(schema: DeclaredSchema | None) -> bytes | None:
    return None if schema is None else schema.content.content_hash


OPERATIONS = (
    Write(
        name="agent_instances.register",
        max_body_bytes=None,
        method="POST",
        path="/api/v1/agent_instance/register",
        right="operate",
        summary="Register a run",
        description=(
            "Finds or creates the resources that a run belongs to: the agent's deployment in the "
            "environment, its version and its schema version, all by content. With an account "
            "token, an unknown agent is created, with agent_id as its external identifier, and "
            "environment_id defaults to the account's default environment. Metadata labels the run "
            "with short texts by key, for example its user, conversation, release or experiment."
        ),
        reply=InstanceRegistered,
        refusals=(NotPermitted, NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=RegisterFields,
        prepare=_prepare,
        show=show,
        examples=(
            Example(
                "A run with one span type",
                {
                    "agent_id": "support",
                    "agent_version": {"name": "Support", "external_identifier": "v1.2.0"},
                    "metadata": {"user": "u-81", "release": "2026-04"},
                    "agent_schema_version": {
                        "external_identifier": "schema-v1",
                        "span_type_schemas": [
                            {
                                "name": "agent:llm",
                                "title": "LLM call",
                                "params_schema": {"type": "object"},
                                "template": "{{ model }}: {{ prompt }}",
                            }
                        ],
                    },
                },
            ),
        ),
    ),
)
