"""Converts an export as OTLP JSON back to JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import msgspec

from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.transfer.lines import BY_ROW, encode_line
from prefactor_server.transfer.otlp import CLOSING, OPENING, PAYLOADS, PREFIX, ROWS
from prefactor_server.transfer.parse import LineError

_KIND: Final = BY_ROW[AgentSpan]
_NULL: Final = msgspec.Raw(b"null")
_NAME: Final = b'"resourceSpans"'
_NAME_WITHIN: Final = 40


class _Array(msgspec.Struct, frozen=True):
    values: Sequence[_Value] = ()


class _Value(msgspec.Struct, frozen=True):
    """An attribute value of one of the types that an export has."""

    string: str | None = msgspec.field(default=None, name="stringValue")
    boolean: bool | None = msgspec.field(default=None, name="boolValue")
    integer: int | str | None = msgspec.field(default=None, name="intValue")
    array: _Array | None = msgspec.field(default=None, name="arrayValue")

    def plain(self) -> Any:
        """Return the value itself.

        Raises:
            ValueError: the text of an integer is not one.
        """
        if self.integer is not None:
            return int(self.integer)
        if self.array is not None:
            return [one.plain() for one in self.array.values]
        return self.boolean if self.string is None else self.string


class _Attribute(msgspec.Struct, frozen=True):
    key: str = ""
    value: _Value = _Value()


class _Attributes(msgspec.Struct, frozen=True):
    """A resource or a span, of which an import reads only the attributes."""

    attributes: Sequence[_Attribute] = ()

    def plain(self) -> dict[str, Any]:
        return {one.key: one.value.plain() for one in self.attributes}


class _Scope(msgspec.Struct, frozen=True):
    spans: Sequence[_Attributes] = ()


class _Resource(msgspec.Struct, frozen=True, rename="camel"):
    resource: _Attributes = _Attributes()
    scope_spans: Sequence[_Scope] = ()


class _Message(msgspec.Struct, frozen=True, rename="camel"):
    resource_spans: Sequence[_Resource]


_messages: Final = msgspec.json.Decoder(_Message)
_resources: Final = msgspec.json.Decoder(_Resource)


def is_otlp(first_line: bytes) -> bool:
    """Return whether a file with this first line is OTLP JSON."""
    return _NAME in first_line[:_NAME_WITHIN]


def lines_of(line: bytes) -> Iterator[bytes]:
    """Yield the lines in a line of OTLP JSON: a message, or a part of one.

    Raises:
        LineError: it cannot be read, or was not exported by a server.
    """
    text = line.strip().removesuffix(b",")
    if text in {OPENING, CLOSING, b""}:
        return
    try:
        if _NAME in text[:_NAME_WITHIN]:
            resources = _messages.decode(text).resource_spans
        else:
            resources = [_resources.decode(text)]
        for resource in resources:
            yield from _lines_of(resource)
    except (ValueError, RecursionError) as error:
        raise LineError(f"cannot be read: {error}") from error


def _lines_of(resource: _Resource) -> Iterator[bytes]:
    rows: Any = resource.resource.plain().get(ROWS, ())
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise LineError(f"{ROWS}: must be a list of texts")
    for row in cast("Sequence[object]", rows):
        yield str(row).encode() + b"\n"
    for scope in resource.scope_spans:
        for span in scope.spans:
            yield _span_line(span.plain())


def _span_line(attributes: dict[str, Any]) -> bytes:
    columns = {
        key.removeprefix(PREFIX): value
        for key, value in attributes.items()
        if key.startswith(PREFIX)
    }
    if "id" not in columns:
        raise LineError(
            f"has a span without {PREFIX}id: import reads only exports of a server. Send "
            "other traces to /v1/traces"
        )
    members: dict[str, Any] = {"type": _KIND.name, **dict.fromkeys(_KIND.columns), "flags": []}
    members |= columns
    for name, attribute in PAYLOADS.items():
        text = attributes.get(attribute)
        members[name] = _NULL if text is None else msgspec.Raw(str(text).encode())
    return encode_line(members)
