"""Finds unknown members in a request.

Operations that administer an account reject unknown members, because the write would otherwise
succeed with a different meaning. Members that responses show are accepted, because clients read a
resource, change a field and send everything back. Telemetry is not checked: newer clients send
fields that older servers do not know, and losing a run is worse than ignoring a field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any, Final, TypeAlias, cast, get_args, get_origin

import msgspec

from prefactor_server.api.kernel.field_errors import union_members
from prefactor_server.domain.errors import FieldError, FieldErrors

_Struct: TypeAlias = type[msgspec.Struct]

_NOTHING: Final[frozenset[str]] = frozenset()


def unknown_members(
    kind: _Struct,
    shown: object,
    value: Mapping[str, Any],
    accepted: Collection[str] = _NOTHING,
) -> FieldErrors:
    """Return errors for the unknown members of a request, nested like the request.

    Args:
        kind: the type of the request.
        shown: the type that responses show, whose members are accepted as well.
        value: the request.
        accepted: further accepted members, of older clients or of the envelope.
    """
    fields, response_fields = _fields(kind), _shown_fields(shown)
    errors: dict[str, FieldError | FieldErrors] = {}
    for name, member in value.items():
        if name in fields:
            found = _nested_errors(fields[name], response_fields.get(name), member)
            if found:
                errors[name] = found
        elif name not in response_fields and name not in accepted:
            errors[name] = _unknown(fields)
    return errors


def merged(first: FieldErrors, second: FieldErrors) -> FieldErrors:
    """Merge the errors of both. For the same field, ``first`` takes precedence."""
    both = dict(second)
    for name, error in first.items():
        existing = both.get(name)
        if isinstance(error, FieldError) or existing is None or isinstance(existing, FieldError):
            both[name] = error
        else:
            both[name] = merged(error, existing)
    return both


def _nested_errors(kind: object, shown: object, value: object) -> FieldErrors:
    """Return the unknown members inside an object, a list or a map of objects."""
    # A field that is stored as it is has no struct in the request, but has one in responses.
    declared = _struct_of(kind) or _struct_of(shown)
    if declared is None:
        return {}
    if isinstance(value, list):
        entries = cast("list[object]", value)
        return _entries(declared, shown, {str(index): one for index, one in enumerate(entries)})
    if not isinstance(value, dict):
        return {}
    members = cast("dict[str, Any]", value)
    if _is_map(kind) or (_struct_of(kind) is None and _is_map(shown)):
        return _entries(declared, shown, members)
    return unknown_members(declared, shown, members)


def _entries(declared: _Struct, shown: object, entries: Mapping[str, object]) -> FieldErrors:
    found = {
        name: unknown_members(declared, shown, cast("dict[str, Any]", entry))
        for name, entry in entries.items()
        if isinstance(entry, dict)
    }
    return {name: errors for name, errors in found.items() if errors}


@cache
def _fields(kind: _Struct) -> Mapping[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}


def _shown_fields(shown: object) -> Mapping[str, Any]:
    struct = _struct_of(shown)
    return {} if struct is None else _fields(struct)


def _struct_of(kind: object) -> _Struct | None:
    """Return the struct that a type is or contains, or None."""
    for member in union_members(kind):
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            return member
        origin = get_origin(member)
        if origin is Annotated:
            found = _struct_of(get_args(member)[0])
        elif origin is not None:
            found = next((one for one in map(_struct_of, get_args(member)) if one), None)
        else:
            found = None
        if found is not None:
            return found
    return None


def _is_map(kind: object) -> bool:
    return any(get_origin(member) in (dict, Mapping) for member in union_members(kind))


def _unknown(fields: Collection[str]) -> FieldError:
    known = ", ".join(sorted(fields)) or "nothing"
    return FieldError("invalid_value", f"is not a known field; known here: {known}")
