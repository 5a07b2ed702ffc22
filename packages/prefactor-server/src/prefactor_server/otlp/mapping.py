"""Maps a received span to its stored type, status, payload and result."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from prefactor_otel.kinds import SPAN_TYPES, kind_of, span_type_of
from prefactor_otel.outcome import failure_of, status_of
from prefactor_otel.payloads import payload_and_result
from prefactor_otel.span import OtelSpan, SpanEvent
from prefactor_otel.truncation import truncate
from prefactor_server.otlp.received import ReceivedSpan

_encoder = msgspec.json.Encoder()

Status = Literal["complete", "failed", "cancelled"]

DECLARED_TYPES: list[dict[str, Any]] = [
    {
        "name": name,
        "title": texts.title,
        "template": texts.template,
        "params_schema": {"type": "object"},
        "result_schema": {"type": "object"},
    }
    for name, texts in SPAN_TYPES.items()
]
"""The span types that runs from OpenTelemetry are registered with."""


class MappedSpan(NamedTuple):
    """A span as it is stored. ``payload`` and ``result`` are within the limit."""

    schema_name: str
    status: Status
    payload: dict[str, Any]
    payload_json: bytes
    result: dict[str, Any]
    result_json: bytes


def is_about_agents(span: ReceivedSpan) -> bool:
    """Return whether a span is about a model, a tool or an agent."""
    return kind_of(OtelSpan(span.name, span.attributes)) is not None


def status(span: ReceivedSpan) -> Status:
    """Return the final status of a span."""
    return status_of(_otel_span(span)) if span.is_error else "complete"


def mapped(span: ReceivedSpan, max_bytes: int) -> MappedSpan:
    """Return a span as it is stored. A payload beyond ``max_bytes`` is truncated."""
    otel = _otel_span(span)
    payload, result = payload_and_result(otel)
    ended = status_of(otel)
    if ended == "failed":
        result["error"] = failure_of(otel)
    return MappedSpan(
        span_type_of(kind_of(otel)),
        ended,
        *within(payload, max_bytes),
        *within(result, max_bytes),
    )


def within(value: dict[str, Any], max_bytes: int) -> tuple[dict[str, Any], bytes]:
    """Return a payload, truncated to ``max_bytes``, with its JSON."""
    document = _encoder.encode(value)
    if len(document) <= max_bytes:
        return value, document
    document = truncate(document, max_bytes)
    return msgspec.json.decode(document), document


def _otel_span(span: ReceivedSpan) -> OtelSpan:
    return OtelSpan(
        name=span.name,
        attributes=span.attributes,
        events=[SpanEvent(name, attributes) for name, attributes in span.events],
        trace_id=span.trace_id,
        span_id=span.span_id,
        scope=span.scope,
        is_error=span.is_error,
        status_description=span.status_message,
    )
