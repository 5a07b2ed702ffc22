"""Schema versions: list, show and create them."""

from __future__ import annotations

from typing import Final

from prefactor_server.api.kernel.fields import Name, NewId
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
from prefactor_server.api.kernel.schema_declaration import SchemaVersionFields, declare
from prefactor_server.api.views.agent_schema_version import (
    AgentSchemaVersionDetails,
    AgentSchemaVersionSummary,
    declared_schemas,
    schema_version_details,
    schema_version_summary,
)
from prefactor_server.api.views.base import Listed, Success, by_path_id, listed
from prefactor_server.commands.agent_schema_version import CreateSchemaVersion
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
    required,
)


class NewSchemaVersionFields(SchemaVersionFields, kw_only=True):
    """A new schema version."""

    agent_id: Name
    id: NewId | None = None


_LIST = ListQuery(
    filters=(
        FilterParameter(
            Parameter("external_identifier", "The client's own identifier of the schema version."),
            "external_identifier",
        ),
    ),
    sorts=("id", "external_identifier", "inserted_at", "updated_at"),
)


async def _prepare_create(call: Call, body: NewSchemaVersionFields) -> Prepared:
    if body.external_identifier is None:
        raise required("external_identifier")
    declared = await declare(call.principal.account_id, body, call.work)
    if declared is None:
        raise TypeError(body)
    return Prepared(
        CreateSchemaVersion(
            request=call.request(),
            id=body.id or call.new_id(),
            chosen_id=body.id is not None,
            agent_ref=body.agent_id,
            declared=declared,
        )
    )


async def show_schema_version(call: Call, version_id: str) -> Success[AgentSchemaVersionDetails]:
    """Return the answer about a schema version."""
    reader = call.services.reader.agent_schema_versions
    record = await reader.show(call.principal, version_id)
    content = await reader.content(record.row.account_id, version_id)
    problems = {
        schema: await call.services.span_preparer.schema_problem(schema, call.work)
        for schema in declared_schemas(content)
    }
    return Success(details=schema_version_details(record, content, problems))


async def _list(call: Call) -> Listed[AgentSchemaVersionSummary]:
    listing = _LIST.read(call.query, await agent_filter(call))
    page, records = await call.services.reader.agent_schema_versions.page(call.principal, listing)
    return listed(listing, page, [schema_version_summary(record) for record in records])


_PATH: Final = "/api/v1/agent_schema_version"

OPERATIONS = (
    Read(
        name="agent_schema_versions.list",
        cost=LIST_COST,
        method="GET",
        path=_PATH,
        right="read",
        summary="List schema versions of an agent",
        reply=Listed[AgentSchemaVersionSummary],
        refusals=(ValidationFailed,),
        parameters=(AGENT_PARAMETER, *_LIST.parameters()),
        answer=_list,
    ),
    Read(
        name="agent_schema_versions.show",
        cost=150,
        method="GET",
        path=f"{_PATH}/{{agent_schema_version_id}}",
        right="read",
        summary="Show a schema version",
        reply=Success[AgentSchemaVersionDetails],
        refusals=(NotFound,),
        answer=by_path_id(show_schema_version),
    ),
    Write(
        name="agent_schema_versions.create",
        max_body_bytes=None,
        method="POST",
        path=_PATH,
        right="administer",
        summary="Create a schema version",
        description=(
            "Follows the rules of a registration. If the agent has a schema version with this name "
            "and content, that one is returned and no other is created."
        ),
        access="account",
        reply=Success[AgentSchemaVersionDetails],
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=NewSchemaVersionFields,
        wrapped=True,
        prepare=_prepare_create,
        show=show_schema_version,
        examples=(
            Example(
                "One span type",
                {
                    "details": {
                        "agent_id": "support",
                        "external_identifier": "schema-v1",
                        "span_type_schemas": [
                            {"name": "agent:llm", "params_schema": {"type": "object"}}
                        ],
                    }
                },
            ),
        ),
    ),
)
