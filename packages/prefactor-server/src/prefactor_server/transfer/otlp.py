"""The encoding of an export as OTLP JSON, which other programs read and ``import`` accepts.

Spans are spans, with their payloads as ``input.value`` and ``output.value``. Data without a place
in OTLP is in attributes that begin with ``prefactor.``: the columns of a span one by one, and other
rows as their lines of JSON Lines, in ``prefactor.rows`` of a resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.queries.runs.export import ExportedRow, RunOrigin
from prefactor_server.storage.base import SpanRecord
from prefactor_server.transfer.lines import Visible, encode_line, end_line, head_line, members_of

PREFIX: Final = "prefactor."
"""The prefix of our attributes."""
ROWS: Final = f"{PREFIX}rows"
"""The attribute of a resource for rows other than spans, each as its line."""
PAYLOADS: Final[Mapping[str, str]] = {"payload": "input.value", "result_payload": "output.value"}
"""The attributes for payloads, by the member of a span's line."""
OPENING: Final = b'{"resourceSpans":['
"""The first line of a document with one resource on each line."""
CLOSING: Final = b"]}"

JsonObject = dict[str, Any]

_MIME_TYPES: Final = {"input.value": "input.mime_type", "output.value": "output.mime_type"}
_SCOPE: Final = "prefactor"
_SPAN_KIND_INTERNAL: Final = 1
_OK: Final = 1
_ERROR: Final = 2
_HEX_DIGITS: Final = frozenset("0123456789abcdef")
_TRACE_DIGITS: Final = 32
_encoder: Final = msgspec.json.Encoder()


class OtlpEncoding:
    """Writes ``TracesData``: each resource in a separate message, or all of them in one."""

    def __init__(self, *, one_message: bool) -> None:
        self._one_message = one_message
        self._is_first = True

    def begin(self, account_id: str, *, masked: bool) -> bytes:
        """Return a resource that identifies the export."""
        return self._message(_resource([_row_text(head_line(account_id, masked=masked))]))

    def rows(
        self, rows: Sequence[ExportedRow], visible: Visible, origin: RunOrigin | None
    ) -> bytes:
        """Return a resource with spans, and one with the other rows, if there are any."""
        texts: list[str] = []
        spans: list[JsonObject] = []
        for row in rows:
            if isinstance(row, SpanRecord):
                spans.append(_span(row, visible, origin))
            else:
                texts.append(_row_text(encode_line(members_of(row, visible))))
        others = self._message(_resource(texts, origin)) if texts else b""
        return others + (self._message(_resource((), origin, spans)) if spans else b"")

    def end(self, runs: int, spans: int) -> bytes:
        """Return a resource that marks the export as complete."""
        last = self._message(_resource([_row_text(end_line(runs, spans))]))
        return last + b"\n" + CLOSING + b"\n" if self._one_message else last

    def _message(self, resource: JsonObject) -> bytes:
        encoded = _encoder.encode(resource)
        if not self._one_message:
            return OPENING + encoded + CLOSING + b"\n"
        before = OPENING + b"\n" if self._is_first else b",\n"
        self._is_first = False
        return before + encoded


def trace_id_of(run: AgentInstance) -> str:
    """Return the trace id of a run: its external identifier, or one derived from its id."""
    identifier = run.external_identifier or ""
    if len(identifier) == _TRACE_DIGITS and _HEX_DIGITS.issuperset(identifier):
        return identifier
    return sha256(run.id.encode()).hexdigest()[:_TRACE_DIGITS]


def span_id_of(span_id: str) -> str:
    """Return the span id that is derived from the id of a span."""
    return sha256(span_id.encode()).hexdigest()[:16]


def _row_text(line: bytes) -> str:
    return line.rstrip(b"\n").decode()


def _resource(
    rows: Sequence[str], origin: RunOrigin | None = None, spans: Sequence[JsonObject] = ()
) -> JsonObject:
    attributes: JsonObject = {}
    if origin is not None:
        attributes["service.name"] = origin.agent_identifier or origin.agent
        attributes["service.version"] = origin.version
        attributes["deployment.environment.name"] = origin.environment
    attributes[ROWS] = list(rows) or None
    scopes = [{"scope": {"name": _SCOPE}, "spans": spans}] if spans else []
    return {"resource": {"attributes": _attributes(attributes.items())}, "scopeSpans": scopes}


def _span(record: SpanRecord, visible: Visible, origin: RunOrigin | None) -> JsonObject:
    span, members = record.span, members_of(record, visible)
    del members["type"]
    documents = {name: bytes(members.pop(name)) for name in PAYLOADS}
    attributes = {**_known_attributes(span)}
    for name, attribute in PAYLOADS.items():
        if documents[name] != b"null":
            attributes[attribute] = documents[name].decode()
            attributes[_MIME_TYPES[attribute]] = "application/json"
    attributes |= {PREFIX + name: value for name, value in members.items() if value != []}
    started = span.inserted_at if span.started_at is None else span.started_at
    otlp_span: JsonObject = {
        "traceId": trace_id_of(origin.run) if origin else span_id_of(span.agent_instance_id) * 2,
        "spanId": span_id_of(span.id),
        "name": span.schema_title or span.schema_name,
        "kind": _SPAN_KIND_INTERNAL,
        "startTimeUnixNano": f"{started}000",
        "endTimeUnixNano": "0" if span.finished_at is None else f"{span.finished_at}000",
        "attributes": _attributes(attributes.items()),
        "status": _status(span),
    }
    if span.parent_span_id is not None:
        otlp_span["parentSpanId"] = span_id_of(span.parent_span_id)
    return otlp_span


def _known_attributes(span: AgentSpan) -> JsonObject:
    """Return the attributes with a meaning in OpenInference and OpenTelemetry."""
    found: JsonObject = {"openinference.span.kind": _kind(span)}
    if span.tool_name is not None:
        found["gen_ai.tool.name"] = span.tool_name
    if span.model is not None:
        found["gen_ai.request.model"] = span.model
    if span.prompt_tokens is not None:
        found["gen_ai.usage.input_tokens"] = span.prompt_tokens
    if span.completion_tokens is not None:
        found["gen_ai.usage.output_tokens"] = span.completion_tokens
    if span.status == "cancelled":
        found["error.type"] = "CancelledError"
    return found


def _kind(span: AgentSpan) -> str:
    if span.schema_name.startswith("otel:"):
        kind = span.schema_name.removeprefix("otel:")
        return "CHAIN" if kind == "step" else kind.upper()
    if span.tool_name is not None:
        return "TOOL"
    if span.model is not None or span.total_tokens is not None:
        return "LLM"
    return "AGENT" if span.parent_span_id is None else "CHAIN"


def _status(span: AgentSpan) -> JsonObject:
    if span.status in {"failed", "cancelled"}:
        return {"code": _ERROR, "message": span.status}
    return {"code": _OK} if span.status == "complete" else {}


def _attributes(values: Iterable[tuple[str, Any]]) -> list[JsonObject]:
    return [{"key": key, "value": _value(value)} for key, value in values if value is not None]


def _value(value: Any) -> JsonObject:
    match value:
        # Most values are texts.
        case str():
            return {"stringValue": value}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case list():
            return {"arrayValue": {"values": [_value(one) for one in value]}}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return {"stringValue": value}
