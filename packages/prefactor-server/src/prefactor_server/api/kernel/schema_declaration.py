"""The span types that a registration declares, in either of two forms.

The list ``span_type_schemas`` is the current form. The two older maps, ``span_schemas`` and
``span_result_schemas``, are read only if the list is absent. Invalid schemas and templates are
stored too, because an unusable schema is no reason to lose a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from prefactor_server.api.kernel.fields import JsonObject, Name
from prefactor_server.api.kernel.work import Work
from prefactor_server.commands.agent_instance_register import DeclaredSchema
from prefactor_server.domain.agent_schema_version import SchemaContent, content_hash
from prefactor_server.domain.errors import FieldError, ValidationFailed
from prefactor_server.payloads import encode_document

MAX_TYPES: Final = 1_000
"""How many span types a schema version may declare, and how many quality and alert schemas."""

_AT_MOST: Final = Meta(max_length=MAX_TYPES, description=f"must have at most {MAX_TYPES} schemas")

_encoder: Final = msgspec.json.Encoder(order="deterministic")


TypeName: TypeAlias = Annotated[str, Meta(min_length=1, description="must not be empty")]


class SpanTypeFields(msgspec.Struct, kw_only=True):
    """One declared span type. Without a result schema, its spans should have an empty result.

    ``spanType`` is an alias of the type. ``result_template`` replaces ``template`` for the summary
    once there is a result.
    """

    name: TypeName
    span_type: TypeName | UnsetType | None = msgspec.field(name="spanType", default=UNSET)
    params_schema: JsonObject
    result_schema: JsonObject | None = None
    title: str | None = None
    description: str | None = None
    template: str | None = None
    result_template: str | UnsetType | None = UNSET
    data_risk: JsonObject | None = None


class SchemaVersionFields(msgspec.Struct, kw_only=True):
    """The fields of a registration that declare span types."""

    external_identifier: Name | None = None
    span_type_schemas: Annotated[list[SpanTypeFields], _AT_MOST] | None = None
    span_schemas: Annotated[dict[str, JsonObject], _AT_MOST] | None = None
    span_result_schemas: Annotated[dict[str, JsonObject], _AT_MOST] | None = None
    quality_schemas: Annotated[list[JsonObject], _AT_MOST] | None = None
    quality_schema: JsonObject | None = None
    alert_schemas: Annotated[list[JsonObject], _AT_MOST] | UnsetType | None = UNSET


async def declare(
    account_id: str, fields: SchemaVersionFields | None, work: Work
) -> DeclaredSchema | None:
    """Return the declaration of a registration, ready to store, or None if there is none.

    Processing a large declaration yields to other requests between its types.

    Raises:
        ClientDisconnected: the client has disconnected.
        ValidationFailed: there are too many types, two have the same name, or a result schema
            belongs to no type.
    """
    if fields is None:
        return None
    types = _span_types(fields)
    quality = _quality_schemas(fields)
    alerts = fields.alert_schemas if isinstance(fields.alert_schemas, list) else []
    if types is None and not quality and not alerts and fields.external_identifier is None:
        return None
    document = await _document(types or [], quality, alerts, work)
    return _declared(account_id, fields.external_identifier, document, len(types or []))


def empty_schema(account_id: str) -> DeclaredSchema:
    """Return the schema of an agent that never declared one."""
    return _declared(account_id, None, _joined([], []), 0)


def _declared(
    account_id: str, identifier: str | None, document: bytes, span_type_count: int
) -> DeclaredSchema:
    codec, body = encode_document(document)
    content = SchemaContent(account_id, content_hash(identifier, document), codec, body)
    return DeclaredSchema(identifier, content, span_type_count)


async def _document(
    types: list[Mapping[str, Any]],
    quality: Sequence[Mapping[str, Any]],
    alerts: Sequence[Mapping[str, Any]],
    work: Work,
) -> bytes:
    """Return the JSON document of a declaration, encoded schema by schema."""
    # Sorted, because a different order of the same declarations must not create a new version.
    encoded: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])
    declared = (quality, sorted(types, key=_type_name), alerts)
    for into, schemas in zip(encoded, declared, strict=True):
        for schema in schemas:
            into.append(_encoder.encode(schema))
            if work.is_due():
                await work.pause()
    document = _joined(*encoded)
    await work.pause()
    return document


def _type_name(span_type: Mapping[str, Any]) -> str:
    name: str = span_type["name"]
    return name


def _joined(
    quality: Sequence[bytes], types: Sequence[bytes], alerts: Sequence[bytes] = ()
) -> bytes:
    # In alphabetical order, like the members of each schema.
    parts = (b",".join(quality), b",".join(types))
    document = b'{"quality_schemas":[%b],"span_type_schemas":[%b]}' % parts
    # Omitted if empty, so that declarations without alerts keep the hash of older servers.
    return b'{"alert_schemas":[%b],%b' % (b",".join(alerts), document[1:]) if alerts else document


def _span_types(fields: SchemaVersionFields) -> list[Mapping[str, Any]] | None:
    if fields.span_type_schemas is not None:
        _check_names(fields.span_type_schemas)
        return _with_aliases(fields.span_type_schemas)
    if fields.span_schemas is None:
        return None
    results = fields.span_result_schemas or {}
    _check_results(fields.span_schemas, results)
    return [
        {"name": name, "params_schema": schema}
        | ({"result_schema": results[name]} if name in results else {})
        for name, schema in fields.span_schemas.items()
    ]


def _quality_schemas(fields: SchemaVersionFields) -> list[JsonObject]:
    if fields.quality_schemas is not None:
        return fields.quality_schemas
    # Older clients send a single quality schema, which newer ones call "default".
    return [] if fields.quality_schema is None else [{**fields.quality_schema, "name": "default"}]


def _with_aliases(types: Sequence[SpanTypeFields]) -> list[Mapping[str, Any]]:
    """Return the types by name and by alias, unless another type has the alias as its name."""
    found = {one.name: _present_fields(one) for one in types}
    for one in types:
        if isinstance(one.span_type, str) and one.span_type not in found:
            found[one.span_type] = {**_present_fields(one), "name": one.span_type}
    return list(found.values())


def _present_fields(one: SpanTypeFields) -> Mapping[str, Any]:
    """Return the fields that are not null, because null and absent mean the same."""
    fields = msgspec.structs.asdict(one)
    del fields["span_type"]
    return {name: value for name, value in fields.items() if value not in (None, UNSET)}


def _check_names(types: Sequence[SpanTypeFields]) -> None:
    seen: set[str] = set()
    errors: dict[str, Mapping[str, FieldError]] = {}
    for index, one in enumerate(types):
        if one.name in seen:
            duplicate = FieldError("invalid_value", f"duplicate name {one.name!r}")
            errors[str(index)] = {"name": duplicate}
        seen.add(one.name)
    if errors:
        raise ValidationFailed({"span_type_schemas": errors})


def _check_results(schemas: Mapping[str, JsonObject], results: Mapping[str, JsonObject]) -> None:
    unknown = FieldError("invalid_value", "belongs to no type in span_schemas")
    errors = {name: unknown for name in results if name not in schemas}
    if errors:
        raise ValidationFailed({"span_result_schemas": errors})
