"""Decodes request bodies: fast if they are valid, thorough if not.

A body is decoded once, directly into its struct. Only if that fails is it checked again, field by
field, so that the error names every invalid field and not just the first. Unknown fields are
ignored unless ``read_strict_body`` decodes them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from itertools import accumulate
from typing import Any, Final, TypeVar, cast

import msgspec

from prefactor_server.api.kernel.field_errors import field_errors, nulls_to_omit
from prefactor_server.api.kernel.fields import decode_field
from prefactor_server.api.kernel.unknown_members import unknown_members
from prefactor_server.api.kernel.work import Work
from prefactor_server.domain.errors import BadRequest, ValidationFailed

MAX_DEPTH: Final = 160
"""The deepest nesting of a request. A JSON Schema of 64 nested objects has 127 levels, and begins
at the fifth level of a registration."""

MAX_CONTAINERS: Final = 500_000
MAX_VALUES: Final = 1_000_000
"""The most values, including objects and lists, in the fields of one write."""

MAX_UNPAUSED_BYTES: Final = 128 * 1024
"""The largest JSON that is decoded without a pause, in bytes. It takes a few milliseconds."""

S = TypeVar("S", bound=msgspec.Struct)

_MEMBERS: Final = dict[str, msgspec.Raw]
_ITEMS: Final = list[msgspec.Raw]
_FIRST: Final = re.compile(rb"\s*[\[{]")
_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_STEPS: Final = bytes.maketrans(b"[]", bytes((1, 255)))
_USUAL_DEPTH: Final = 8

NO_DETAILS: Final = msgspec.Raw(b"null")


class Envelope(msgspec.Struct, gc=False):
    """The members around the fields of a request: its key, its bulk type and its ``details``."""

    item_type: Any = msgspec.field(name="_type", default=None)
    idempotency_key: Any = None
    details: msgspec.Raw = NO_DETAILS


def read_envelope(document: bytes) -> Envelope:
    """Return the members around the fields of a request.

    Raises:
        BadRequest: it is not JSON, not an object, or nested too deeply.
    """
    envelope: Envelope = _decode(document, Envelope)
    return envelope


def read_object(document: bytes) -> dict[str, Any]:
    """Decode a JSON object.

    Raises:
        BadRequest: it is not JSON, not an object, or nested too deeply.
    """
    members: dict[str, Any] = _decode(document, dict)
    return members


def read_members(document: bytes) -> dict[str, msgspec.Raw]:
    """Decode a JSON object, leaving its members undecoded.

    Raises:
        BadRequest: it is not JSON, or nested too deeply.
        ValidationFailed: it is not an object.
    """
    try:
        members: dict[str, msgspec.Raw] = _decoder(_MEMBERS).decode(document)
    except msgspec.ValidationError as error:
        raise ValidationFailed({}, "The body must be a JSON object") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from error
    return members


def read_body(document: bytes, kind: type[S]) -> S:
    """Decode the fields of a request.

    Raises:
        BadRequest: they are not JSON, not an object, or nested too deeply.
        ValidationFailed: fields are missing or wrong; all of them are named.
    """
    try:
        body: S = _decoder(kind).decode(document)
    except msgspec.ValidationError as error:
        body = _read_thoroughly(read_object(document), kind, error)
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from error
    check_depth(document)
    return body


def _read_thoroughly(members: dict[str, Any], kind: type[S], error: msgspec.ValidationError) -> S:
    """Convert an object that failed with ``error``, treating null as an omitted field.

    Raises:
        BadRequest: it cannot be read for another reason than its fields.
        ValidationFailed: fields are missing or wrong; all of them are named.
    """
    if found := field_errors(kind, members):
        raise ValidationFailed(found) from None
    given = members.keys() - nulls_to_omit(kind, members)
    try:
        return msgspec.convert({name: members[name] for name in given}, kind, dec_hook=decode_field)
    except msgspec.ValidationError:
        raise BadRequest(f"The body cannot be read: {error}") from error


def read_strict_body(
    document: bytes, kind: type[S], shown: object = None, accepted: Collection[str] = ()
) -> S:
    """Decode the fields of a request, and reject unknown ones.

    Args:
        document: the request.
        kind: the type of its fields.
        shown: the type that responses show, whose members are accepted as well.
        accepted: further accepted members.

    Raises:
        BadRequest: they are not JSON, not an object, or nested too deeply.
        ValidationFailed: fields are missing, wrong or unknown.
    """
    body = read_body(document, kind)
    if unknown := unknown_members(kind, shown, read_object(document), accepted):
        raise ValidationFailed(unknown)
    return body


async def read_large_body(document: bytes, kind: type[S], work: Work) -> S:
    """Decode the fields of a large request in pieces, so that other requests run in between.

    Raises:
        BadRequest: they are not JSON, not an object, or nested too deeply.
        ValidationFailed: fields are missing or wrong; all of them are named.
        ClientDisconnected: the client has disconnected.
    """
    _check_values(document)
    try:
        fields = await _in_pieces(document, MAX_DEPTH, work)
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from error
    if not isinstance(fields, dict):
        raise BadRequest("The body must be a JSON object")
    try:
        return msgspec.convert(fields, kind, dec_hook=decode_field)
    except msgspec.ValidationError as error:
        return _read_thoroughly(cast("dict[str, Any]", fields), kind, error)


def _check_values(document: bytes) -> None:
    """Reject a body that would take tens of times its size once decoded.

    Raises:
        BadRequest: it has too many containers or values.
    """
    if _containers(document) <= MAX_CONTAINERS and document.count(b",") <= MAX_VALUES:
        return
    # Brackets and commas inside strings do not count.
    unescaped = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    document = b"".join(unescaped.split(b'"')[::2])
    if _containers(document) > MAX_CONTAINERS:
        raise BadRequest(f"The body has more than {MAX_CONTAINERS} objects and lists")
    if document.count(b",") > MAX_VALUES:
        raise BadRequest(f"The body has more than {MAX_VALUES} values")


def _containers(document: bytes) -> int:
    return document.count(b"[") + document.count(b"{")


async def _in_pieces(document: bytes | msgspec.Raw, depth: int, work: Work) -> Any:
    """Decode JSON level by level, until each part is small enough to be decoded at once."""
    if work.is_due():
        await work.pause()
    size = memoryview(document).nbytes
    if size <= MAX_UNPAUSED_BYTES:
        check_depth(bytes(document), depth)
        return msgspec.json.decode(document)
    kind = _FIRST.match(document)
    if kind is None:
        return msgspec.json.decode(document)
    if depth == 0:
        raise RecursionError
    if kind[0].endswith(b"{"):
        members = _decoder(_MEMBERS).decode(document)
        return {name: await _in_pieces(raw, depth - 1, work) for name, raw in members.items()}
    items = _decoder(_ITEMS).decode(document)
    return [await _in_pieces(raw, depth - 1, work) for raw in items]


def check_depth(document: bytes, max_depth: int = MAX_DEPTH) -> None:
    """Reject JSON that is nested too deeply.

    Raises:
        BadRequest: it exceeds ``max_depth`` levels.
    """
    # Most bodies have few brackets. Counting them is much faster than finding their depth.
    few = MAX_DEPTH // 2
    if max_depth == MAX_DEPTH and document.count(b"{") < few and document.count(b"[") < few:
        return
    brackets = _STRINGS.sub(b"", document).translate(_ONE_KIND, _NO_BRACKETS)
    # Each pass removes the innermost brackets, which is enough for most bodies.
    passes = min(_USUAL_DEPTH, max_depth)
    for _ in range(passes):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
    # The remaining ones are scanned once, so that the time does not depend on the depth.
    levels = accumulate(memoryview(brackets.translate(_STEPS)).cast("b"))
    if max(levels, default=0) > max_depth - passes:
        raise _too_deep()


def _decode(document: bytes, kind: Any) -> Any:
    try:
        return _decoder(kind).decode(document)
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            raise BadRequest(f"The body cannot be read: {error}") from error
        raise BadRequest("The body must be a JSON object") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from error


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, dec_hook=decode_field)


def _unreadable(error: Exception) -> BadRequest:
    if isinstance(error, RecursionError):
        return _too_deep()
    if isinstance(error, UnicodeDecodeError):
        return BadRequest("The body is not UTF-8")
    return BadRequest(f"The body is not valid JSON: {error}")


def _too_deep() -> BadRequest:
    return BadRequest(f"The body is nested more than {MAX_DEPTH} levels deep")
