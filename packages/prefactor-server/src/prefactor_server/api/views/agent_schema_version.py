"""The views of schema versions: each schema with the result of checking it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from prefactor_server.api.views.base import show_time
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.runs.alert import AlertSeverity, declared_severity
from prefactor_server.queries.in_use import VersionUse
from prefactor_server.validation.json_schema.validator import EMPTY_OBJECT_SCHEMA

Problems: TypeAlias = Mapping[bytes, str | None]
"""The problem of each JSON Schema of a version, or None."""

_Entry: TypeAlias = Mapping[str, Any]

_EMPTY_OBJECT: Final = msgspec.Raw(msgspec.json.encode(EMPTY_OBJECT_SCHEMA, order="deterministic"))
_NO_SCHEMA: Final = msgspec.Raw(b"null")
_SCHEMAS: Final = frozenset({"params_schema", "result_schema", "schema"})
_decoder: Final = msgspec.json.Decoder(dict[str, list[dict[str, msgspec.Raw]]])


class SchemaValidation(msgspec.Struct, frozen=True, kw_only=True):
    """Whether payloads are checked against a schema, and if not, why."""

    status: Literal["success", "error"]
    message: str | None


class SpanTypeView(msgspec.Struct, frozen=True, kw_only=True):
    """A declared span type. Its title defaults to its name."""

    name: str
    title: str
    description: str | None
    params_schema: Any
    params_schema_validation: SchemaValidation
    result_schema: Any
    result_schema_validation: SchemaValidation
    template: str | None
    result_template: str | None
    data_risk: Any


class QualitySchemaView(msgspec.Struct, frozen=True, kw_only=True):
    """A declared kind of quality record."""

    name: str
    title: str
    description: str | None
    template: str | None
    data_risk: Any
    schema: Any
    schema_validation: SchemaValidation


class AlertSchemaView(msgspec.Struct, frozen=True, kw_only=True):
    """A declared kind of alert. Its severity is the default for its alerts."""

    name: str
    title: str
    description: str | None
    severity: AlertSeverity
    template: str | None
    schema: Any
    schema_validation: SchemaValidation


class AgentSchemaVersionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A schema version in a list, with the number of span types instead of the types."""

    type: Literal["agent_schema_version"] = "agent_schema_version"
    id: str
    account_id: str
    agent_id: str
    external_identifier: str | None
    external_identifier_repeats: int
    current_agent_deployment_refs: list[str]
    span_schemas_count: int
    inserted_at: str
    updated_at: str


class AgentSchemaVersionDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A schema version. The declared schemas are maps by name."""

    type: Literal["agent_schema_version"] = "agent_schema_version"
    id: str
    account_id: str
    agent_id: str
    external_identifier: str | None
    external_identifier_repeats: int
    current_agent_deployment_refs: list[str]
    span_type_schemas: dict[str, SpanTypeView]
    quality_schemas: dict[str, QualitySchemaView]
    alert_schemas: dict[str, AlertSchemaView]
    inserted_at: str
    updated_at: str


def schema_version_summary(record: VersionUse[AgentSchemaVersion]) -> AgentSchemaVersionSummary:
    """Return the view of a schema version in a list."""
    return AgentSchemaVersionSummary(
        **_fields(record), span_schemas_count=record.row.span_type_count
    )


def schema_version_details(
    record: VersionUse[AgentSchemaVersion], content: bytes | None, problems: Problems
) -> AgentSchemaVersionDetails:
    """Return the full view of a schema version, from the JSON of its declaration."""
    return AgentSchemaVersionDetails(
        **_fields(record),
        span_type_schemas={
            one["name"]: _span_type(one, problems) for one in _entries(content, "span_type_schemas")
        },
        quality_schemas={
            one["name"]: _quality_schema(one, problems)
            for one in _entries(content, "quality_schemas")
        },
        alert_schemas={
            one["name"]: _alert_schema(one, problems) for one in _entries(content, "alert_schemas")
        },
    )


def declared_schemas(content: bytes | None) -> set[bytes]:
    """Return every JSON Schema of a version, from the JSON of its declaration."""
    schemas = {bytes(_params(one)) for one in _entries(content, "span_type_schemas")}
    schemas |= {bytes(_result(one)) for one in _entries(content, "span_type_schemas")}
    for kind in ("quality_schemas", "alert_schemas"):
        schemas |= {bytes(_schema(one)) for one in _entries(content, kind)}
    return schemas


def _entries(content: bytes | None, kind: str) -> Sequence[_Entry]:
    """Return the entries that have a name. Their schemas, which may be large, stay encoded."""
    entries = [
        {
            member: value if member in _SCHEMAS else msgspec.json.decode(value)
            for member, value in one.items()
        }
        for one in _decoder.decode(content or b"{}").get(kind, ())
    ]
    return [one for one in entries if isinstance(one.get("name"), str)]


def _params(entry: _Entry) -> msgspec.Raw:
    schema: msgspec.Raw = entry.get("params_schema", _NO_SCHEMA)
    return schema


def _result(entry: _Entry) -> msgspec.Raw:
    schema: msgspec.Raw = entry.get("result_schema", _EMPTY_OBJECT)
    return schema


def _schema(entry: _Entry) -> msgspec.Raw:
    schema: msgspec.Raw = entry.get("schema", _NO_SCHEMA)
    return schema


def _span_type(entry: _Entry, problems: Problems) -> SpanTypeView:
    params, result = _params(entry), _result(entry)
    return SpanTypeView(
        name=entry["name"],
        title=_title(entry),
        description=_text(entry, "description"),
        params_schema=params,
        params_schema_validation=_validation(problems[bytes(params)]),
        result_schema=result,
        result_schema_validation=_validation(problems[bytes(result)]),
        template=_text(entry, "template"),
        result_template=_text(entry, "result_template"),
        data_risk=entry.get("data_risk"),
    )


def _quality_schema(entry: _Entry, problems: Problems) -> QualitySchemaView:
    return QualitySchemaView(
        name=entry["name"],
        title=_title(entry),
        description=_text(entry, "description"),
        template=_text(entry, "template"),
        data_risk=entry.get("data_risk"),
        schema=_schema(entry),
        schema_validation=_validation(problems[bytes(_schema(entry))]),
    )


def _alert_schema(entry: _Entry, problems: Problems) -> AlertSchemaView:
    return AlertSchemaView(
        name=entry["name"],
        title=_title(entry),
        description=_text(entry, "description"),
        severity=declared_severity(entry.get("severity")),
        template=_text(entry, "template"),
        schema=_schema(entry),
        schema_validation=_validation(problems[bytes(_schema(entry))]),
    )


def _validation(problem: str | None) -> SchemaValidation:
    return SchemaValidation(status="success" if problem is None else "error", message=problem)


def _title(entry: _Entry) -> str:
    title = _text(entry, "title") or ""
    return title if title.strip() else entry["name"]


def _text(entry: _Entry, field: str) -> str | None:
    value = entry.get(field)
    return value if isinstance(value, str) else None


def _fields(record: VersionUse[AgentSchemaVersion]) -> dict[str, Any]:
    version = record.row
    return {
        "id": version.id,
        "account_id": version.account_id,
        "agent_id": version.agent_id,
        "external_identifier": version.external_identifier,
        "external_identifier_repeats": record.repeats,
        "current_agent_deployment_refs": list(record.deployment_ids),
        "inserted_at": show_time(version.inserted_at),
        "updated_at": show_time(version.updated_at),
    }
