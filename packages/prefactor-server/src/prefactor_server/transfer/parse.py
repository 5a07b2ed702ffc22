"""Parses the lines of an export, as strictly as requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, Optional, TypeVar, get_type_hints

import msgspec

from prefactor_server.commands.agent_instance_register import VersionMetadata
from prefactor_server.domain.agent_schema_version import SchemaContent, content_hash
from prefactor_server.domain.errors import BadRequest, FieldError, ValidationFailed
from prefactor_server.domain.ids import CLIENT_ID_RULE, is_client_id, is_new_id
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.agent_span import PARAMS, RESULT, SpanPayload
from prefactor_server.domain.runs.metadata import (
    MAX_KEY_LENGTH,
    MAX_KEYS,
    MAX_VALUE_LENGTH,
    new_metadata,
)
from prefactor_server.domain.runs.run_total import COST_UNITS
from prefactor_server.domain.times import parse_time
from prefactor_server.payloads import encode_document
from prefactor_server.transfer.lines import (
    BY_NAME,
    END,
    FORMAT_VERSION,
    HEAD,
    KINDS,
    SPAN_FLAGS,
    LineKind,
)

_MAX_NAME: Final = 512
_MAX_TEXT: Final = 1_000_000
_MAX_NUMBER: Final = 2**53
_NAMES: Final = frozenset(
    {"external_identifier", "name", "schema_name", "schema_title", "model", "tool_name"}
)

_OUTSIDE_IDS: Final = frozenset({"owner_person_id", "team_id"})
"""Ids of another system. The API accepts any text for them."""

S = TypeVar("S", bound=msgspec.Struct)

_ESCAPE: Final = re.compile(rb"\\(?:u00([2-7][0-9a-fA-F])|.)")
_NUMBER: Any = Annotated[int, msgspec.Meta(ge=-_MAX_NUMBER, le=_MAX_NUMBER)]
_COST_LIMIT: Any = Annotated[int, msgspec.Meta(ge=0, le=10**9 * COST_UNITS)]
_NULL: Final = b"null"


class LineError(BadRequest):
    """A line of an import cannot be read."""


class Head(msgspec.Struct, forbid_unknown_fields=True):
    """The first line."""

    type: Literal["export"]
    format_version: int
    account_id: str
    sensitive_values: Literal["included", "masked"]


class End(msgspec.Struct, forbid_unknown_fields=True):
    """The last line."""

    type: Literal["export_end"]
    agent_instances: int
    agent_spans: int


class ParsedRow(NamedTuple):
    """The row in a line, with the rows stored with it; ``documents`` are a span's payloads."""

    row: Any
    payloads: tuple[SpanPayload, ...] = ()
    documents: tuple[bytes | None, bytes | None] = (None, None)
    content: SchemaContent | None = None


class _Type(msgspec.Struct):
    type: str


class _SpanType(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    params_schema: dict[str, Any]
    result_schema: dict[str, Any] | None = None
    title: str | None = None
    description: str | None = None
    template: str | None = None
    result_template: str | None = None
    data_risk: dict[str, Any] | None = None


class _Declared(msgspec.Struct, forbid_unknown_fields=True):
    quality_schemas: list[dict[str, Any]]
    span_type_schemas: list[_SpanType]
    alert_schemas: list[dict[str, Any]] = []


class _QualityEntry(msgspec.Struct, forbid_unknown_fields=True):
    payload: dict[str, Any]
    summary: str | None
    problem: str | None = None


_Object: Final = dict[str, Any]
_DOCUMENTS: Final[Mapping[tuple[str, str], Any]] = {
    ("agent_schema_version", "document"): _Declared,
    ("agent_instance_quality", "document"): dict[str, _QualityEntry],
    ("agent_instance_metadata", "document"): dict[str, str],
}
_deterministic: Final = msgspec.json.Encoder(order="deterministic")
_types: Final = msgspec.json.Decoder(_Type)


def parse_head(line: bytes) -> Head:
    """Return the first line of an export.

    Raises:
        LineError: it is not a first line, or has an unknown format version.
    """
    if type_of(line) != HEAD:
        raise LineError(f"is not an export: the first line must have the type {HEAD}")
    head = _decoded(line, Head)
    if head.format_version != FORMAT_VERSION:
        raise LineError(
            f"the export has the format version {head.format_version}, and this server reads "
            f"{FORMAT_VERSION}: import it with the version of prefactor-server that wrote it"
        )
    return head


def parse_end(line: bytes) -> End:
    """Return the last line of an export.

    Raises:
        LineError: it is malformed.
    """
    return _decoded(line, End)


def type_of(line: bytes) -> str:
    """Return the type of a line.

    Raises:
        LineError: it is not a JSON object with a type.
    """
    try:
        return _types.decode(line).type
    except (ValueError, RecursionError) as error:
        raise LineError(f"cannot be read: {error}") from error


def parse_row(account_id: str, line: bytes) -> ParsedRow:
    """Return the row in a line, for an account.

    Raises:
        LineError: it is malformed. The message names the member.
    """
    name = type_of(line)
    kind = BY_NAME.get(name)
    if kind is None:
        raise LineError(f"type: must be one of {', '.join([HEAD, *BY_NAME, END])}, got {name!r}")
    decoded = _decoded(line, _SHAPES[name])
    values: dict[str, Any] = {
        one: getattr(decoded, one) for one in decoded.__struct_fields__ if one != "type"
    }
    for member, value in values.items():
        values[member] = _checked(kind, member, value)
    values["account_id"] = account_id
    build = _BUILD.get(name)
    try:
        return build(values) if build else ParsedRow(kind.row(**values))
    except (ValidationFailed, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LineError(f"is not valid: {error}") from error


def _decoded(line: bytes, shape: type[S]) -> S:
    try:
        return msgspec.json.decode(line, type=shape)
    except (ValueError, RecursionError) as error:
        raise LineError(f"cannot be read: {error}") from error


def _checked(kind: LineKind, member: str, value: Any) -> Any:
    """Return a valid member in its stored form."""
    if isinstance(value, msgspec.Raw):
        return _document(kind, member, bytes(value))
    if not isinstance(value, str):
        return value
    if member.endswith("_at"):
        try:
            return parse_time(value)
        except ValueError as error:
            raise LineError(f"{member}: {error}") from error
    if member == "id" or (member.endswith("_id") and member not in _OUTSIDE_IDS):
        if not (is_new_id if member == "id" else is_client_id)(value):
            raise LineError(f"{member}: {CLIENT_ID_RULE}, got {value[:80]!r}")
        return value
    limit = _MAX_NAME if member in _NAMES | _OUTSIDE_IDS else _MAX_TEXT
    if len(value) > limit or "\0" in value:
        raise LineError(f"{member}: must be at most {limit} characters, none of them NUL")
    return value


def _document(kind: LineKind, member: str, document: bytes) -> bytes | None:
    if document == _NULL:
        return None
    try:
        msgspec.json.decode(document, type=_DOCUMENTS.get((kind.name, member), _Object))
    except (ValueError, RecursionError) as error:
        raise LineError(f"{member}: {error}") from error
    # Sensitive values are found by the bytes of their marker, which must not be escaped.
    return _ESCAPE.sub(_plain, document) if b"\\u00" in document else document


def _plain(escape: re.Match[bytes]) -> bytes:
    """Return a character that need not be escaped, or the escape unchanged."""
    if escape[1] is None:
        return escape[0]
    character = bytes.fromhex(escape[1].decode())
    return escape[0] if character in b'"\\\x7f' else character


def _span(values: dict[str, Any]) -> ParsedRow:
    payload, result = values.pop("payload"), values.pop("result_payload")
    unknown = set(values["flags"]) - SPAN_FLAGS.keys()
    if unknown:
        raise LineError(f"flags: must be among {', '.join(SPAN_FLAGS)}, got {min(unknown)!r}")
    values["flags"] = sum(SPAN_FLAGS[name] for name in set(values["flags"]))
    span = BY_NAME["agent_span"].row(
        **values,
        # Set when the span's run is known.
        agent_id="",
        environment_id="",
        payload_size=len(payload or b""),
        result_size=len(result or b""),
    )
    stored = tuple(
        SpanPayload(span.account_id, span.id, part, *encode_document(document))
        for part, document in ((PARAMS, payload), (RESULT, result))
        if document is not None
    )
    return ParsedRow(span, stored, (payload, result))


def _schema_version(values: dict[str, Any]) -> ParsedRow:
    declared = values.pop("document")
    if declared is None:
        raise LineError("document: must be an object")
    members: dict[str, Any] = msgspec.json.decode(declared)
    # In the form that a registration stores, so that the same declaration has the same hash.
    document = _deterministic.encode(members)
    digest = content_hash(values["external_identifier"], document)
    count = len(members["span_type_schemas"])
    row = BY_NAME["agent_schema_version"].row(**values, content_hash=digest, span_type_count=count)
    content = SchemaContent(row.account_id, digest, *encode_document(document))
    return ParsedRow(row, content=content)


def _version(values: dict[str, Any]) -> ParsedRow:
    metadata = VersionMetadata(
        values["external_identifier"],
        values["name"],
        values["description"],
        values["runtime_environment"],
    )
    return ParsedRow(BY_NAME["agent_version"].row(**values, metadata_hash=metadata.hash()))


def _run(values: dict[str, Any]) -> ParsedRow:
    kind = BY_NAME["agent_instance"]
    # The counts are those of imported spans, and the time of the import is set later.
    return ParsedRow(kind.row(**values, **dict.fromkeys(kind.left_out, 0)))


def _metadata(values: dict[str, Any]) -> ParsedRow:
    texts: dict[str, str] = msgspec.json.decode(values["document"] or b"{}")
    if len(texts) > MAX_KEYS or any(
        not 0 < len(key) <= MAX_KEY_LENGTH
        or not len(text) <= MAX_VALUE_LENGTH
        or "\0" in key + text
        for key, text in texts.items()
    ):
        problem = f"must have at most {MAX_KEYS} keys of {MAX_KEY_LENGTH} characters with texts"
        raise LineError(f"document: {problem} of {MAX_VALUE_LENGTH}")
    metadata = new_metadata(values["account_id"], values["id"], texts, values["inserted_at"])
    return ParsedRow(metadata._replace(updated_at=values["updated_at"]))


def _risk_profile(values: dict[str, Any]) -> ParsedRow:
    for member in ("category_weights", "action_multipliers", "thresholds"):
        values[member] = (values[member] or b"{}").decode()
    profile = RiskProfile(**values)
    bounds = profile.weights().thresholds
    if not bounds[0] < bounds[1] < bounds[2]:
        raise ValidationFailed({"thresholds": FieldError("invalid_value", "must ascend")})
    return ParsedRow(profile)


def _with_document(name: str, column: str) -> Callable[[dict[str, Any]], ParsedRow]:
    """Return a function that builds a row of a kind whose document must not be null."""

    def build(values: dict[str, Any]) -> ParsedRow:
        if values[column] is None:
            raise LineError(f"{column}: must be an object")
        return ParsedRow(BY_NAME[name].row(**values))

    return build


_BUILD: Final[Mapping[str, Callable[[dict[str, Any]], ParsedRow]]] = {
    "agent_span": _span,
    "agent_schema_version": _schema_version,
    "agent_version": _version,
    "agent_instance": _run,
    "agent_instance_metadata": _metadata,
    "agent_instance_quality": _with_document("agent_instance_quality", "document"),
    "risk_profile": _risk_profile,
    "alert": _with_document("alert", "payload"),
}


def _shape(kind: LineKind) -> type[msgspec.Struct]:
    """Return the type of a line, from the types of its columns."""
    hints = get_type_hints(kind.row)
    fields: list[tuple[str, Any]] = [("type", str)]
    for column in kind.columns:
        hint: Any = hints[column]
        if column in kind.documents:
            hint = msgspec.Raw
        elif column == "flags":
            hint = list[str]
        elif column.endswith("_at"):
            hint = str if hint is int else str | None
        elif column == "run_cost_limit":
            hint = Optional[_COST_LIMIT]  # noqa: UP045 - built at run time
        elif hint is int:
            hint = _NUMBER
        elif hint == int | None:
            hint = Optional[_NUMBER]  # noqa: UP045 - built at run time
        fields.append((column, hint))
    if kind.name == "agent_span":
        fields += [("payload", msgspec.Raw), ("result_payload", msgspec.Raw)]
    if kind.name == "agent_schema_version":
        fields.append(("document", msgspec.Raw))
    return msgspec.defstruct(kind.name, fields, forbid_unknown_fields=True, kw_only=True)


_SHAPES: Final[Mapping[str, type[msgspec.Struct]]] = {kind.name: _shape(kind) for kind in KINDS}
