"""Decodes OTLP in JSON, with ids in hexadecimal and long integers as strings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias, cast

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

JsonObject: TypeAlias = dict[str, Any]
Group: TypeAlias = tuple[Resource, str | None, JsonObject]
"""A resource, the name of the scope, and one span or record."""

_DIGITS: Final = re.compile(r"-?[0-9]{1,20}")
_HEX: Final = re.compile(r"[0-9a-fA-F]*")
_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16
_HAS_IS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200
_ERROR: Final = (2, "STATUS_CODE_ERROR")
_PLAIN: Final = ("stringValue", "boolValue", "bytesValue")


def groups(resources: list[Any], outer: str, inner: str) -> Iterator[Group]:
    """Return each span, or each log record, of the groups of an export request.

    ``outer`` and ``inner`` are the names of the lists in a resource and in a scope.

    Raises:
        BadRequest: a value does not have the type that OTLP defines.
    """
    for each in _objects(resources):
        attributes = _resource(_object(each.get("resource")))
        sender = Resource.of(attributes)
        for scoped in _objects(each.get(outer)):
            name = _object(scoped.get("scope")).get("name")
            scope = name if isinstance(name, str) and name else None
            for message in _objects(scoped.get(inner)):
                yield sender, scope, message


def read_span(span: JsonObject, scope: str | None) -> ReceivedSpan:
    """Read one span.

    Raises:
        BadRequest: a value does not have the type that OTLP defines.
        Rejected: it cannot be stored. The message names it.
    """
    counter = Counter()
    name = span.get("name")
    try:
        trace_id = _id(span.get("traceId"), _TRACE_DIGITS, "trace id")
        span_id = _id(span.get("spanId"), _SPAN_DIGITS, "span id")
        parent = span.get("parentSpanId") or None
        if parent is not None:
            parent = _id(parent, _SPAN_DIGITS, "parent span id")
        start, end = times(
            _unsigned(span.get("startTimeUnixNano")), _unsigned(span.get("endTimeUnixNano"))
        )
        flags, status = _integer(span.get("flags"), range(1 << 32)), _object(span.get("status"))
        message = status.get("message")
        return ReceivedSpan(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=parent,
            is_root=parent is None or bool(flags & _HAS_IS_REMOTE and flags & _IS_REMOTE),
            name=name if isinstance(name, str) else "",
            start=start,
            end=end,
            is_error=status.get("code") in _ERROR,
            status_message=message if isinstance(message, str) and message else None,
            attributes=_attributes(span.get("attributes"), counter),
            events=_events(span.get("events"), counter),
            scope=scope,
        )
    except Rejected as rejected:
        shown = f"span {str(span.get('spanId'))[:16]} ({str(name)[:60]})"
        raise Rejected(f"{shown} {rejected.reason}") from None


def read_event(record: JsonObject) -> ReceivedEvent | None:
    """Read one log record. Return None unless it is an event of a span.

    Raises:
        BadRequest: a value does not have the type that OTLP defines.
        Rejected: an id is invalid, or it has too many values.
    """
    counter = Counter()
    if _is_empty_id(record.get("traceId")) or _is_empty_id(record.get("spanId")):
        return None
    name, at = record.get("eventName"), record.get("timeUnixNano")
    try:
        return ReceivedEvent.of(
            trace_id=_id(record.get("traceId"), _TRACE_DIGITS, "trace id"),
            span_id=_id(record.get("spanId"), _SPAN_DIGITS, "span id"),
            name=name if isinstance(name, str) else "",
            at=_unsigned(at) or _unsigned(record.get("observedTimeUnixNano")),
            attributes=_attributes(record.get("attributes"), counter),
            body=_value(record.get("body"), counter),
        )
    except Rejected as rejected:
        raise Rejected(f"record {rejected.reason}") from None


def _events(events: Any, counter: Counter) -> list[tuple[str, JsonObject]]:
    found: list[tuple[str, JsonObject]] = []
    for event in _objects(events):
        counter.count(1)
        found.append((str(event.get("name", "")), _attributes(event.get("attributes"), counter)))
    return found


def _resource(resource: JsonObject) -> JsonObject:
    try:
        return _attributes(resource.get("attributes"), Counter())
    except Rejected as rejected:
        raise BadRequest(f"A resource {rejected.reason}") from rejected


def _attributes(pairs: Any, counter: Counter) -> JsonObject:
    found: JsonObject = {}
    for pair in _objects(pairs):
        counter.count(1)
        key = pair.get("key")
        if isinstance(key, str):
            found[key] = _value(pair.get("value"), counter)
    return found


def _value(value: Any, counter: Counter) -> Any:
    typed = _object(value)
    for name in _PLAIN:
        if name in typed:
            return typed[name]
    if "intValue" in typed:
        return _integer(typed["intValue"])
    if "doubleValue" in typed:
        return _double(typed["doubleValue"])
    if "arrayValue" in typed:
        values = _list(_object(typed["arrayValue"]).get("values"))
        counter.count(len(values))
        return [_value(each, counter) for each in values]
    if "kvlistValue" in typed:
        return _attributes(_object(typed["kvlistValue"]).get("values"), counter)
    return None


def _is_empty_id(value: Any) -> bool:
    """Return whether an id is missing or has only zeros, so that it names nothing."""
    return not value or (isinstance(value, str) and not value.strip("0"))


def _id(value: Any, digits: int, what: str) -> str:
    text = value if isinstance(value, str) else ""
    if len(text) != digits or not _HEX.fullmatch(text) or not text.strip("0"):
        raise Rejected(
            f"has no valid {what}: it must have {digits} hexadecimal digits, not all zero"
        )
    return text.lower()


def _unsigned(value: Any) -> int:
    """Return an integer from 0 to 2⁶⁴ - 1, as ``_integer`` does."""
    return _integer(value, range(1 << 64))


def _integer(value: Any, allowed: range = range(-(1 << 63), 1 << 63)) -> int:
    """Return an integer that is a number or a string, or 0 if it is missing.

    Raises:
        BadRequest: it is neither, or outside the range of the field in protobuf.
    """
    number = 0 if value is None else _parsed(value)
    if number is None or number not in allowed:
        raise BadRequest(
            f"{str(value)[:40]!r} is not an integer from {allowed.start} to {allowed.stop - 1}"
        )
    return number


def _parsed(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        return int(value)
    return None


def _double(value: Any) -> float | str:
    if isinstance(value, int | float):
        return json_number(float(value))
    return str(value)


def _object(value: Any) -> JsonObject:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest("The body is not an OTLP request in JSON: an object was expected")
    return cast("JsonObject", value)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest("The body is not an OTLP request in JSON: a list was expected")
    return [*cast("Any", value)]


def _objects(value: Any) -> Iterator[JsonObject]:
    return map(_object, _list(value))
