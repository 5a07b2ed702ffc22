"""Finds every error of a body that does not fit its struct, in a slow second pass."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin

import msgspec

from prefactor_server.api.kernel.fields import decode_field
from prefactor_server.domain.errors import REQUIRED, FieldError, FieldErrors

_Struct: TypeAlias = type[msgspec.Struct]

_EXPECTED: Final = re.compile(r"Expected `([^`]*)`(?:, got `([^`]*)`| ([^`]*))?(?: - at `.*)?")
_NAMES: Final = {
    "array": "a list",
    "bool": "a boolean",
    "float": "a number",
    "int": "a whole number",
    "null": "null",
    "object": "an object",
    "str": "a string",
}


def field_errors(kind: _Struct, members: Mapping[str, Any]) -> FieldErrors:
    """Return an error for each missing or invalid field, nested like the object."""
    errors: dict[str, FieldError | FieldErrors] = {}
    for field in msgspec.structs.fields(kind):
        value = members.get(field.encode_name)
        if value is not None:
            found = _error(field.type, value)
        else:
            found = REQUIRED if field.required else None
        if found:
            errors[field.encode_name] = found
    return errors


def nulls_to_omit(kind: _Struct, members: Mapping[str, Any]) -> set[str]:
    """Return the optional fields that are null although their type has no null."""
    return {
        field.encode_name
        for field in msgspec.structs.fields(kind)
        if not field.required
        and members.get(field.encode_name, "") is None
        and type(None) not in (field.type, *get_args(field.type))
    }


def _error(kind: Any, value: object) -> FieldError | FieldErrors | None:
    for member in union_members(kind):
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            if isinstance(value, dict):
                return field_errors(member, cast("dict[str, Any]", value))
        elif isinstance(value, list):
            entries = cast("list[object]", value)
            kind_of_entry = _entry_kind(member, len(entries))
            if kind_of_entry is not None:
                return _entry_errors(kind_of_entry, entries)
        elif isinstance(value, dict):
            members = cast("dict[str, object]", value)
            kinds = _member_kinds(member, len(members))
            if kinds is not None:
                return _member_errors(*kinds, members)
    try:
        msgspec.convert(value, kind, dec_hook=decode_field)
    except msgspec.ValidationError as error:
        return FieldError("invalid_value", _message(kind, str(error)))
    return None


def _message(kind: Any, reason: str) -> str:
    """Return the documented rule of a type, or what it and the value are in terms of JSON."""
    if rule := _rule(kind):
        return rule
    described = _EXPECTED.fullmatch(reason)
    if described is None:
        return reason.partition(" - at `$")[0]
    expected, got, bound = described.groups()
    wanted = " or ".join(_NAMES.get(name, name) for name in expected.split(" | "))
    rest = f", got {_NAMES.get(got, got)}" if got else f" {bound}" if bound else ""
    return f"must be {wanted}{rest}"


def _entry_kind(kind: Any, length: int) -> Any:
    """Return the type of a list's entries, unless there are too many."""
    if get_origin(kind) is Annotated:
        kind, *notes = get_args(kind)
        if not _has_length(notes, length):
            return None
    return get_args(kind)[0] if get_origin(kind) is list else None


def _has_length(notes: Sequence[object], length: int) -> bool:
    for note in notes:
        if isinstance(note, msgspec.Meta):
            least, most = note.min_length or 0, note.max_length
            if length < least or (most is not None and length > most):
                return False
    return True


def _entry_errors(kind: Any, entries: list[object]) -> FieldErrors:
    found = ((str(index), _error(kind, entry)) for index, entry in enumerate(entries))
    return {index: error for index, error in found if error}


def _member_kinds(kind: Any, length: int) -> tuple[Any, Any] | None:
    """Return the key and value types of a map with validated keys, unless there are too many."""
    if get_origin(kind) is Annotated:
        kind, *notes = get_args(kind)
        if not _has_length(notes, length):
            return None
    if get_origin(kind) is not dict or get_origin(get_args(kind)[0]) is not Annotated:
        return None
    return get_args(kind)


def _member_errors(key_kind: Any, value_kind: Any, members: Mapping[str, object]) -> FieldErrors:
    found = (
        (name, _error(key_kind, name) or _error(value_kind, value))
        for name, value in members.items()
    )
    return {name: error for name, error in found if error}


def union_members(kind: Any) -> tuple[Any, ...]:
    """Return the types that a field may have, except null."""
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(member for member in get_args(kind) if member is not type(None))
    return (kind,)


def _rule(kind: Any) -> str | None:
    """Return the rule that the type documents, or None."""
    for member in union_members(kind):
        if get_origin(member) is Literal:
            return f"must be one of {', '.join(get_args(member))}"
        if get_origin(member) is Annotated:
            for note in get_args(member)[1:]:
                rule = note.description if isinstance(note, msgspec.Meta) else None
                if rule is not None and rule.startswith("must"):
                    return rule.rstrip(".")
    return None
