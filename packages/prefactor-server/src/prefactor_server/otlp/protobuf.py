"""Decodes OTLP in protobuf: outer messages field by field, each span with the protobuf library.

A request is not parsed as a whole, because a message of two bytes takes a hundred once it is
parsed. The number of messages and the size of each are checked first.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from prefactor_server.domain.errors import BadRequest
from prefactor_server.otlp.received import (
    Counter,
    ReceivedEvent,
    ReceivedSpan,
    Rejected,
    Resource,
    json_number,
    times,
)

MAX_MESSAGES: Final = 20_000
"""How many spans or log records a request may have, including their groups."""
MAX_GROUP_BYTES: Final = 256 * 1024
"""The largest resource or instrumentation scope, in bytes."""

_RESOURCE_ATTRIBUTES: Final = (
    "service.name",
    "service.version",
    "deployment.environment.name",
    "deployment.environment",
)
_BYTES: Final = 2
_SPAN_ID: Final = 2
_FIXED: Final = {1: 8, 5: 4}
_MAX_VARINT: Final = 10
_HAS_IS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200
_ERROR: Final = 2
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8

Group: TypeAlias = tuple[Resource, str | None, bytes]
"""A resource, the name of the scope, and the bytes of one span or record."""


def groups(document: bytes) -> Iterator[Group]:
    """Return each span, or each log record, of an export request, undecoded.

    Raises:
        BadRequest: the request is not protobuf, or has too many messages.
    """
    left = MAX_MESSAGES
    for outer in _messages(document, 1):
        sender = Resource.of({})
        for resource in _messages(outer, 1):
            sender = Resource.of(_resource(resource))
        for inner in _messages(outer, 2):
            scope = None
            for found in _messages(inner, 1):
                scope = _scope(found)
            for message in _messages(inner, 2):
                left -= 1
                _check_left(left)
                yield sender, scope, message
            left -= 1
        left -= 1
        _check_left(left)


def read_span(message: bytes, scope: str | None, max_bytes: int) -> ReceivedSpan:
    """Decode one span.

    Raises:
        BadRequest: it is not a span.
        Rejected: it cannot be stored. The message names it.
    """
    _check_size(message, max_bytes, "span", next(_messages(message, _SPAN_ID), b"").hex())
    span = Span()
    _parse(span, message)
    counter = Counter()
    try:
        if len(span.trace_id) != _TRACE_BYTES or not any(span.trace_id):
            raise Rejected("has no valid trace id: it must have 16 bytes, not all zero")
        if len(span.span_id) != _SPAN_BYTES or not any(span.span_id):
            raise Rejected("has no valid span id: it must have 8 bytes, not all zero")
        start, end = times(span.start_time_unix_nano, span.end_time_unix_nano)
        counter.count(len(span.events))
        parent = span.parent_span_id.hex() or None
        remote = bool(span.flags & _HAS_IS_REMOTE and span.flags & _IS_REMOTE)
        return ReceivedSpan(
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=parent,
            is_root=parent is None or remote,
            name=span.name,
            start=start,
            end=end,
            is_error=span.status.code == _ERROR,
            status_message=span.status.message or None,
            attributes=_attributes(span.attributes, counter),
            events=[(event.name, _attributes(event.attributes, counter)) for event in span.events],
            scope=scope,
        )
    except Rejected as rejected:
        raise Rejected(f"span {span.span_id.hex()} ({span.name[:60]}) {rejected.reason}") from None


def read_event(message: bytes, max_bytes: int) -> ReceivedEvent | None:
    """Decode one log record. Return None unless it is an event of a span.

    Raises:
        BadRequest: it is not a log record.
        Rejected: it is too large.
    """
    _check_size(message, max_bytes, "record")
    record = LogRecord()
    _parse(record, message)
    counter = Counter()
    if len(record.trace_id) != _TRACE_BYTES or len(record.span_id) != _SPAN_BYTES:
        return None
    if not any(record.trace_id) or not any(record.span_id):
        # Zeros mean that the record has no span.
        return None
    try:
        return ReceivedEvent.of(
            trace_id=record.trace_id.hex(),
            span_id=record.span_id.hex(),
            name=record.event_name,
            at=record.time_unix_nano or record.observed_time_unix_nano,
            attributes=_attributes(record.attributes, counter),
            body=_value(record.body, counter),
        )
    except Rejected as rejected:
        raise Rejected(f"record {rejected.reason}") from None


def _messages(document: bytes, number: int) -> Iterator[bytes]:
    """Yield the values of a repeated message field with a number, skipping other fields."""
    view, place, end = document, 0, len(document)
    seen = 0
    while place < end:
        tag, place = _varint(view, place, end)
        kind = tag & 7
        if kind == _BYTES:
            size, place = _varint(view, place, end)
            if size > end - place:
                raise _malformed()
            if tag >> 3 == number:
                yield view[place : place + size]
            place += size
        elif kind == 0:
            _, place = _varint(view, place, end)
        elif kind in _FIXED:
            place += _FIXED[kind]
        else:
            raise _malformed()
        seen += 1
        _check_left(2 * MAX_MESSAGES - seen)
    if place != end:
        raise _malformed()


def _varint(view: bytes, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    for _ in range(_MAX_VARINT):
        if place >= end:
            break
        byte = view[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, place
        shift += 7
    raise _malformed()


def _parse(into: Any, message: bytes) -> None:
    try:
        into.ParseFromString(message)
    except DecodeError as error:
        raise _malformed() from error


def _resource(message: bytes) -> dict[str, Any]:
    resource = resource_pb2.Resource()
    _check_group(message)
    _parse(resource, message)
    used = [each for each in resource.attributes if each.key in _RESOURCE_ATTRIBUTES]
    try:
        return _attributes(used, Counter())
    except Rejected as rejected:
        raise BadRequest(f"A resource {rejected.reason}") from rejected


def _scope(message: bytes) -> str | None:
    scope = InstrumentationScope()
    _check_group(message)
    _parse(scope, message)
    return scope.name or None


def _attributes(pairs: Sequence[KeyValue], counter: Counter) -> dict[str, Any]:
    counter.count(len(pairs))
    return {pair.key: _value(pair.value, counter) for pair in pairs}


def _value(value: AnyValue, counter: Counter) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        values = value.array_value.values
        counter.count(len(values))
        return [_value(each, counter) for each in values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values, counter)
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "bytes_value":
        return base64.b64encode(found).decode()
    return json_number(found) if kind == "double_value" else found


def _check_left(left: int) -> None:
    if left < 0:
        raise BadRequest(f"The body has more than {MAX_MESSAGES} messages: send smaller batches")


def _check_size(message: bytes, max_bytes: int, kind: str, name: str = "") -> None:
    if len(message) > max_bytes:
        named = f"{kind} {name[:16]}".strip()
        raise Rejected(f"{named} has {len(message)} bytes: at most {max_bytes} are accepted")


def _check_group(message: bytes) -> None:
    if len(message) > MAX_GROUP_BYTES:
        raise BadRequest(f"A resource or a scope has more than {MAX_GROUP_BYTES} bytes")


def _malformed() -> BadRequest:
    return BadRequest("The body is not a valid OTLP request in protobuf")


def partial_success(rejected: int, message: str) -> bytes:
    """Return the body of a successful answer, with the number of rejected ones and the reasons."""
    if not rejected:
        return b""
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    document: bytes = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    return document
