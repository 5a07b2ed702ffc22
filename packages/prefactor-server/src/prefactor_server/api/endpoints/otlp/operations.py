"""The OTLP/HTTP operations, for agents in any language that export OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from prefactor_server.api.endpoints.otlp.events import record_events
from prefactor_server.api.endpoints.otlp.recording import Outcome, record
from prefactor_server.api.kernel.decode import read_large_body
from prefactor_server.api.kernel.errors import UnsupportedMediaType
from prefactor_server.api.kernel.operation import (
    Call,
    Encoded,
    Example,
    RawOperation,
    WireError,
)
from prefactor_server.domain.errors import BadRequest, Overloaded, TooLarge, Unavailable
from prefactor_server.otlp import json_form, protobuf
from prefactor_server.otlp.received import Rejected, Resource
from prefactor_server.otlp.status import (
    JSON,
    PROTOBUF,
    RETRY_AFTER,
    encoded_error,
    error_status,
    is_protobuf,
    media_type,
    must_retry_later,
)

_Message = TypeVar("_Message")
_Received = TypeVar("_Received")

_EMPTY: Final = b"{}"
_encoder: Final = msgspec.json.Encoder()


class TracesFields(msgspec.Struct, kw_only=True):
    """An export request of traces in JSON."""

    resource_spans: list[dict[str, Any]] | None = msgspec.field(name="resourceSpans", default=None)


class LogsFields(msgspec.Struct, kw_only=True):
    """An export request of logs in JSON."""

    resource_logs: list[dict[str, Any]] | None = msgspec.field(name="resourceLogs", default=None)


class MetricsFields(msgspec.Struct, kw_only=True):
    """An export request of metrics in JSON."""

    resource_metrics: list[dict[str, Any]] | None = msgspec.field(
        name="resourceMetrics", default=None
    )


class PartialSuccess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rejected part of a request, and the reason."""

    rejected_spans: int = msgspec.field(name="rejectedSpans", default=0)
    rejected_records: int = msgspec.field(name="rejectedLogRecords", default=0)
    error_message: str = msgspec.field(name="errorMessage", default="")


class ExportAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to an export in JSON; empty if everything was accepted."""

    partial_success: PartialSuccess | None = msgspec.field(name="partialSuccess", default=None)


class RpcStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An error as a ``google.rpc.Status``, in JSON."""

    code: int
    message: str
    details: list[dict[str, Any]]


async def _traces(call: Call, document: bytes) -> Encoded:
    if _is_protobuf(call):
        limit = 2 * call.services.limits.max_payload_bytes
        spans = _read_each(
            protobuf.groups(b"" if document == _EMPTY else document),
            lambda message, scope: protobuf.read_span(message, scope, limit),
        )
    else:
        body = await read_large_body(document, TracesFields, call.work)
        groups = json_form.groups(body.resource_spans or [], "scopeSpans", "spans")
        spans = _read_each(groups, json_form.read_span)
    return _answer(call, await record(call, spans, len(document)))


async def _logs(call: Call, document: bytes) -> Encoded:
    if _is_protobuf(call):
        limit = 2 * call.services.limits.max_payload_bytes
        events = _read_each(
            protobuf.groups(b"" if document == _EMPTY else document),
            lambda message, _: protobuf.read_event(message, limit),
        )
    else:
        body = await read_large_body(document, LogsFields, call.work)
        groups = json_form.groups(body.resource_logs or [], "scopeLogs", "logRecords")
        events = _read_each(groups, lambda message, _: json_form.read_event(message))
    return _answer(call, await record_events(call, events, len(document)), "rejected_records")


async def _metrics(call: Call, document: bytes) -> Encoded:
    del document
    return _answer(call, Outcome())


def _read_each(
    groups: Iterable[tuple[Resource, str | None, _Message]],
    read: Callable[[_Message, str | None], _Received],
) -> Iterator[tuple[Resource, _Received] | Rejected]:
    """Yield each span or record with its resource, or why it was rejected."""
    for resource, scope, message in groups:
        try:
            yield resource, read(message, scope)
        except Rejected as rejected:
            yield rejected


def _is_protobuf(call: Call) -> bool:
    """Return whether a request is in protobuf rather than JSON.

    Raises:
        UnsupportedMediaType: it is neither.
    """
    if is_protobuf(call.content_type):
        return True
    sent = media_type(call.content_type)
    if sent in {JSON, b""}:
        return False
    raise UnsupportedMediaType(sent, (PROTOBUF, JSON))


def _answer(call: Call, outcome: Outcome, counted: str = "rejected_spans") -> Encoded:
    """Return the answer to an export. In protobuf, spans and records have the same answer."""
    if _is_protobuf(call):
        return Encoded(PROTOBUF, protobuf.partial_success(outcome.rejected, outcome.message))
    if not outcome.rejected:
        return Encoded(JSON, _EMPTY)
    partial = PartialSuccess(**{counted: outcome.rejected}, error_message=outcome.message)
    return Encoded(JSON, _encoder.encode(ExportAnswer(partial_success=partial)))


def _error(failed: WireError, content_type: bytes) -> tuple[WireError, Encoded]:
    """Return an error as the OTLP specification requires it, in the encoding of the request."""
    status, headers = error_status(failed.status), failed.headers
    if must_retry_later(status) and not any(name == b"retry-after" for name, _ in headers):
        headers = [*headers, (b"retry-after", b"%d" % RETRY_AFTER)]
    encoded = Encoded(*encoded_error(status, failed.body, content_type))
    return WireError(status, failed.body, headers), encoded


_TRACES_EXAMPLE: Final = Example(
    "One span",
    {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": "support"}}]
                },
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "5b8efff798038103d269b633813fc60c",
                                "spanId": "eee19b7ec3c1b174",
                                "name": "chat m-1",
                                "startTimeUnixNano": "1767225600000000000",
                                "endTimeUnixNano": "1767225601000000000",
                                "attributes": [
                                    {
                                        "key": "gen_ai.operation.name",
                                        "value": {"stringValue": "chat"},
                                    }
                                ],
                            }
                        ]
                    }
                ],
            }
        ]
    },
)
_TRACES_TEXT: Final = (
    "Takes an ExportTraceServiceRequest in protobuf or JSON, and responds in the same form. The "
    "spans of one trace and agent are one run. A repeated span changes nothing. Rejected spans are "
    "counted in partialSuccess, and all others are stored."
)
_LOGS_TEXT: Final = (
    "Takes an ExportLogsServiceRequest in protobuf or JSON. Events of models (`gen_ai.`) are added "
    "to their span, which may arrive before or after them. Other records are ignored."
)
_METRICS_TEXT: Final = (
    "Responds with success and stores nothing, because exporters send metrics by default."
)


def _export(name: str, path: str, **others: Any) -> RawOperation:
    return RawOperation(
        name=name,
        method="POST",
        path=path,
        right="operate",
        reply=ExportAnswer,
        refusals=(BadRequest, TooLarge, UnsupportedMediaType, Overloaded, Unavailable),
        encode_error=_error,
        error=RpcStatus,
        max_body_bytes=None,
        takes_zstd=True,
        **others,
    )


def _both(name: str, noun: str, **others: Any) -> tuple[RawOperation, RawOperation]:
    """Return an operation at OTLP's path and one at the API's own."""
    return (
        _export(f"otlp.{name}", f"/v1/{noun}", **others),
        _export(f"otlp.{name}_in_api", f"/api/v1/otlp/v1/{noun}", **others),
    )


OPERATIONS: Final = (
    *_both(
        "export_traces",
        "traces",
        summary="Receive OpenTelemetry spans",
        description=_TRACES_TEXT,
        body=TracesFields,
        answer=_traces,
        examples=(_TRACES_EXAMPLE,),
    ),
    *_both(
        "export_logs",
        "logs",
        summary="Receive OpenTelemetry log records",
        description=_LOGS_TEXT,
        body=LogsFields,
        answer=_logs,
        examples=(Example("Nothing", {"resourceLogs": []}),),
    ),
    *_both(
        "export_metrics",
        "metrics",
        summary="Receive OpenTelemetry metrics",
        description=_METRICS_TEXT,
        body=MetricsFields,
        answer=_metrics,
        examples=(Example("Nothing", {"resourceMetrics": []}),),
    ),
)
