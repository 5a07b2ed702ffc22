"""Makes the schemas of a function's parameters and result from its type hints.

They describe what `trace` records: the arguments by name, and the result, wrapped as
`{"value": …}` unless it is an object.
"""

from __future__ import annotations

import inspect
import math
import typing
from collections import abc
from inspect import Parameter
from typing import Any

import orjson

from prefactor_recorder.encoding.values import MAX_SCHEMA_DEPTH, exceeds_depth
from prefactor_recorder.span_types.introspection import (
    hints_of,
    is_instance,
    kind_of,
    signature_of,
    underlying,
)
from prefactor_recorder.span_types.json_schema import Schema, Schemas, any_of

ANY_OBJECT: Schema = {"type": "object"}
"""The schema of an unknown payload."""
MAX_SIZE = 64 * 1024
"""Maximum size of a schema in bytes. A larger one is replaced by `ANY_OBJECT`."""
_YIELDING = {
    abc.Iterator,
    abc.Iterable,
    abc.Generator,
    abc.AsyncIterator,
    abc.AsyncIterable,
    abc.AsyncGenerator,
}


def schema_of(hint: Any) -> Schema:
    """Return the schema of a payload of this type, which is always an object.

    Args:
        hint: A class (pydantic model, dataclass, TypedDict) or any other type hint.
    """
    schemas = Schemas()
    return _bounded(schemas.whole(_as_object(schemas, schemas.of(hint))))


def result_schema_of(hint: Any) -> Schema:
    """Return the schema of a result of this type.

    It has no required members, because the result of a failed span has only `error`.
    """
    schemas = Schemas()
    return _bounded(schemas.whole(_optional(schemas, _as_object(schemas, schemas.of(hint)))))


def parameters_schema(
    *functions: abc.Callable[..., Any], constants: abc.Mapping[str, Schema] | None = None
) -> Schema:
    """Return the schema of the arguments by name, or `ANY_OBJECT` without a signature.

    Args:
        functions: The functions of a span type. The schema of several is a choice.
        constants: Schemas of further members of the payloads.
    """
    schemas = Schemas()
    roots = [_parameters(schemas, function, constants or {}) for function in functions]
    return _bounded(schemas.whole(any_of(roots)))


def result_schema(*functions: abc.Callable[..., Any]) -> Schema:
    """Return the schema of the recorded results; for generators, of the list of items."""
    schemas = Schemas()
    return _bounded(schemas.whole(any_of(_result(schemas, function) for function in functions)))


def _parameters(
    schemas: Schemas, function: abc.Callable[..., Any], constants: abc.Mapping[str, Schema]
) -> Schema:
    signature = signature_of(function)
    if signature is None:
        return ANY_OBJECT
    hints = hints_of(function)
    properties = dict(constants)
    required: list[str] = []
    for parameter in recorded_parameters(signature):
        schema = schemas.of(hints.get(parameter.name, Any))
        properties[parameter.name] = _parameter(parameter, schema)
        if parameter.default is Parameter.empty and parameter.kind not in _VARIADIC:
            required.append(parameter.name)
    root = {"type": "object", "properties": properties}
    return root | ({"required": required} if required else {})


def _result(schemas: Schemas, function: abc.Callable[..., Any]) -> Schema:
    hints, kind = hints_of(function), kind_of(function)
    # A decorator that changes the kind of a function (`contextmanager`) keeps the hints of the
    # original function.
    if "return" not in hints or kind != kind_of(underlying(function)):
        return ANY_OBJECT
    hint = hints["return"]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if kind in {"generator", "async generator"}:
        return _items_schema(schemas, arguments if origin in _YIELDING else ())
    return _optional(schemas, _as_object(schemas, schemas.of(hint)))


def recorded_parameters(signature: inspect.Signature) -> list[Parameter]:
    """Return the parameters whose arguments are recorded, all except `self` or `cls`."""
    parameters = list(signature.parameters.values())
    skipped = 1 if parameters and is_instance(parameters[0]) else 0
    return parameters[skipped:]


_VARIADIC = {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}


def _parameter(parameter: Parameter, schema: Schema) -> Schema:
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return {"type": "array"} | ({"items": schema} if schema else {})
    if parameter.kind is Parameter.VAR_KEYWORD:
        return {"type": "object"} | ({"additionalProperties": schema} if schema else {})
    # Texts are left out, because they may be secrets, and redaction does not apply to schemas.
    value = parameter.default
    if value is None or (isinstance(value, bool | int | float) and math.isfinite(value)):
        return {**schema, "default": value}
    return schema


def _items_schema(schemas: Schemas, arguments: tuple[Any, ...]) -> Schema:
    """Return the schema for a generator: the list of its items, and its return value."""
    item = schemas.of(arguments[0]) if arguments else {}
    properties: Schema = {"value": {"type": "array"} | ({"items": item} if item else {})}
    if len(arguments) == len(("yielded", "sent", "returned")):
        properties["returned"] = schemas.of(arguments[2])
    return {"type": "object", "properties": properties}


def _as_object(schemas: Schemas, schema: Schema) -> Schema:
    """Return the schema of a value as a payload: objects as they are, others wrapped as `value`."""
    choices = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    objects: list[Schema] = []
    others: list[Schema] = []
    for choice in choices:
        meant = schemas.resolved(choice)
        if meant.get("type") == "object":
            objects.append(choice)
        elif "type" in meant or _has_no_object(meant.get("enum", [{}])):
            others.append(choice)
        else:
            return ANY_OBJECT
    wrapped = {"type": "object", "properties": {"value": any_of(others)}}
    return any_of([*objects, *([wrapped] if others else [])])


def _has_no_object(values: list[Any]) -> bool:
    return not any(isinstance(value, dict) for value in values)


def _optional(schemas: Schemas, schema: Schema) -> Schema:
    """Return a schema that also matches a result with only an `error`."""
    if set(schema) == {"anyOf"}:
        return {"anyOf": [_optional(schemas, each) for each in schema["anyOf"]]}
    meant = schemas.resolved(schema)
    kept = {name: value for name, value in meant.items() if name != "required"}
    if "additionalProperties" in meant:
        kept["properties"] = {"error": {}} | meant.get("properties", {})
    return kept


def _bounded(schema: Schema) -> Schema:
    try:
        fits = len(orjson.dumps(schema)) <= MAX_SIZE and not exceeds_depth(schema, MAX_SCHEMA_DEPTH)
    except (TypeError, ValueError):  # a model's custom schema may not be JSON
        fits = False
    return schema if fits else ANY_OBJECT
