"""Converts a type to the JSON Schema (draft 2020-12) of its encoded values.

Never fails. An unknown type becomes `{}`, which matches everything. A schema that is too permissive
is harmless, but a wrong one flags valid spans.

Classes with fields are described once, under `$defs`, so that they may refer to themselves.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import re
import sys
import types
import typing
import uuid
from collections import abc
from typing import Any, Union, cast

import orjson

from prefactor_recorder.encoding.values import encode
from prefactor_recorder.guard import not_interrupts
from prefactor_recorder.span_types.introspection import hints_of

Schema = dict[str, Any]

MAX_DEPTH = 40
"""Maximum nesting of types. A recursive alias has no class at which recursion would end."""
MAX_CHOICES = 500
"""Maximum number of values listed of an enumeration. A larger one becomes `{}`."""

# In this order, because a datetime is a date and a bool is an int.
_PLAIN: list[tuple[type, Schema]] = [
    (bool, {"type": "boolean"}),
    (int, {"type": "integer"}),
    (str, {"type": "string"}),
    (bytes, {"type": "string"}),
    (bytearray, {"type": "string"}),
    (dt.datetime, {"type": "string", "format": "date-time"}),
    (dt.date, {"type": "string", "format": "date"}),
    # No format, because JSON Schema's "time" requires an offset.
    (dt.time, {"type": "string"}),
    (dt.timedelta, {"type": "string"}),
    (uuid.UUID, {"type": "string", "format": "uuid"}),
    (decimal.Decimal, {"type": "string"}),
    (pathlib.PurePath, {"type": "string"}),
]
# Without iterables and iterators. They may be readable only once, so their items are not recorded.
_ARRAYS = (list, set, frozenset, collections.deque, abc.Sequence, abc.Set)
_QUALIFIERS = {"Required", "NotRequired", "ReadOnly", "Final", "ClassVar", "InitVar"}


class Schemas:
    """Converts types to schemas that share `definitions`."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._names: dict[type[Any], str] = {}

    def of(self, hint: Any, depth: int = 0) -> Schema:
        """Return the schema of a type; `{}` if unknown."""
        if depth > MAX_DEPTH:
            return {}
        try:
            return self._of(hint, depth + 1)
        except not_interrupts():  # metaclasses and descriptors may raise anything
            return {}

    def whole(self, root: Schema) -> Schema:
        """Return a schema with the definitions it uses. Replace a lone reference by its target."""
        name = root.get("$ref", "").removeprefix("#/$defs/") if len(root) == 1 else ""
        if name in self.definitions and not self._is_used(name, self.definitions):
            root = self.definitions[name]
        used: dict[str, Schema] = {}
        while more := [name for name in self.definitions if self._is_used(name, [root, used])]:
            if len(more) == len(used):
                break
            used = {name: self.definitions[name] for name in more}
        return {**root, "$defs": used} if used else root

    def resolved(self, schema: Schema) -> Schema:
        """Resolve a reference."""
        name = schema.get("$ref", "").removeprefix("#/$defs/")
        return self.definitions.get(name, schema)

    @staticmethod
    def _is_used(name: str, schemas: Any) -> bool:
        return orjson.dumps(f"#/$defs/{name}") in orjson.dumps(schemas)

    def _of(self, hint: Any, depth: int) -> Schema:
        if hint is None or hint is type(None):
            return {"type": "null"}
        origin: Any = typing.get_origin(hint)
        if origin is not None:
            return self._generic(hint, origin, typing.get_args(hint), depth)
        if isinstance(hint, typing.TypeVar):
            constraints = hint.__constraints__
            return (
                self._any_of(constraints, depth) if constraints else self.of(hint.__bound__ or Any)
            )
        for target in ("__supertype__", "__value__"):  # NewType, `type X = …`
            if not isinstance(hint, type) and hasattr(hint, target):
                return self.of(getattr(hint, target), depth)
        if getattr(hint, "_name", None) == "LiteralString":
            return {"type": "string"}
        return self._class(hint, depth) if isinstance(hint, type) else {}

    def _generic(self, hint: Any, origin: Any, arguments: tuple[Any, ...], depth: int) -> Schema:
        if origin is typing.Annotated:
            return self._annotated(arguments[0], hint.__metadata__, depth)
        if origin is Union or origin is types.UnionType:
            return self._any_of(arguments, depth)
        if origin is typing.Literal:
            return _choices(arguments)
        if getattr(origin, "_name", getattr(origin, "__name__", None)) in _QUALIFIERS:
            return self.of(arguments[0], depth)
        if hasattr(origin, "__value__"):  # an alias with parameters, which are ignored
            return self.of(origin.__value__, depth)
        return self._collection(origin, arguments, depth) if isinstance(origin, type) else {}

    def _annotated(self, hint: Any, metadata: tuple[Any, ...], depth: int) -> Schema:
        """Add a description from `Annotated`: a text, or that of a pydantic field."""
        schema = self.of(hint, depth)
        for each in metadata:
            text = each if isinstance(each, str) else getattr(each, "description", None)
            if isinstance(text, str):
                return {**schema, "description": text}
        return schema

    def _any_of(self, hints: abc.Iterable[Any], depth: int) -> Schema:
        return any_of([self.of(hint, depth) for hint in hints])

    def _collection(self, kind: type[Any], arguments: tuple[Any, ...], depth: int) -> Schema:
        """Convert `list[int]`, `tuple[int, ...]`, `dict[str, int]` and generic classes."""
        whole: type[Any] = kind  # type checkers narrow `kind` below
        if kind is tuple:
            return self._tuple(arguments, depth)
        if issubclass(kind, _ARRAYS) and not issubclass(kind, str | bytes) and len(arguments) == 1:
            return _with({"type": "array"}, items=self.of(arguments[0], depth))
        if issubclass(kind, collections.Counter):
            return {"type": "object", "additionalProperties": {"type": "integer"}}
        if kind in _MAPPINGS and len(arguments) == len(("key", "value")):
            return _with({"type": "object"}, additionalProperties=self.of(arguments[1], depth))
        return self._class(whole, depth)

    def _tuple(self, arguments: tuple[Any, ...], depth: int) -> Schema:
        if arguments[-1:] == (...,):
            return _with({"type": "array"}, items=self.of(arguments[0], depth))
        if any(typing.get_origin(each) is typing.Unpack for each in arguments):
            return {"type": "array"}
        return self._places(arguments, depth)

    def _places(self, hints: abc.Sequence[Any], depth: int) -> Schema:
        """Return an array with one type per position."""
        places = [self.of(hint, depth) for hint in hints]
        count = len(places)
        return _with({"type": "array", "minItems": count, "maxItems": count}, prefixItems=places)

    def _class(self, kind: type[Any], depth: int) -> Schema:
        if kind is float:
            return {"type": "number"}
        if issubclass(kind, enum.Enum):
            return _enumeration(kind)
        describe = self._described(kind)
        if describe is not None:
            return self._defined(kind, describe, depth)
        for plain, schema in _PLAIN:
            if issubclass(kind, plain):
                return dict(schema)
        if issubclass(kind, abc.Mapping):
            return {"type": "object"}
        return {"type": "array"} if issubclass(kind, (tuple, *_ARRAYS)) else {}

    def _described(self, kind: type[Any]) -> Any:
        """Return the method that describes a class with fields, or None."""
        pydantic: Any = sys.modules.get("pydantic")  # imported if there is a model
        if pydantic is not None and hasattr(kind, "__pydantic_serializer__"):
            return self._model
        if dataclasses.is_dataclass(kind):
            return self._dataclass
        if hasattr(kind, "__required_keys__") and issubclass(kind, dict):
            return self._typed_dict
        if hasattr(kind, "_fields") and issubclass(kind, tuple):
            return self._named_tuple
        return None

    def _defined(self, kind: type[Any], describe: Any, depth: int) -> Schema:
        if kind not in self._names:
            self._names[kind] = name = self._new_name(kind)
            self.definitions[name] = {}  # reserves the name while the fields are described
            try:
                self.definitions[name] = describe(kind, name, depth)
            except not_interrupts():  # see `of`; the definition stays, as `{}`
                return {}
        return {"$ref": f"#/$defs/{self._names[kind]}"}

    def _new_name(self, kind: type[Any]) -> str:
        plain = re.sub(r"[^A-Za-z0-9_.]", "_", kind.__name__)
        name, number = plain, 1
        while name in self.definitions:
            number += 1
            name = f"{plain}_{number}"
        return name

    def _dataclass(self, kind: type[Any], name: str, depth: int) -> Schema:
        del name
        hints = hints_of(kind)
        fields = dataclasses.fields(cast("Any", kind))
        # Fields hidden in `repr()` are not recorded, and a field with `init=False` may be unset.
        shown = [field for field in fields if field.repr and not field.name.startswith("_")]
        properties = {field.name: self.of(hints.get(field.name, Any), depth) for field in shown}
        return _object(properties, [field.name for field in shown if field.init])

    def _typed_dict(self, kind: type[Any], name: str, depth: int) -> Schema:
        del name
        hints = hints_of(kind)
        needed = cast("abc.Set[str]", getattr(kind, "__required_keys__", frozenset[str]()))
        properties = {key: self.of(hint, depth) for key, hint in hints.items()}
        # Qualifiers in string annotations are missing in `__required_keys__`, so check the hints.
        required = [key for key, hint in hints.items() if _requirement(hint, default=key in needed)]
        return _object(properties, required)

    def _named_tuple(self, kind: type[Any], name: str, depth: int) -> Schema:
        del name
        hints = hints_of(kind)
        names = cast("tuple[str, ...]", getattr(kind, "_fields", ()))
        return self._places([hints.get(each, Any) for each in names], depth)

    def _model(self, kind: Any, name: str, depth: int) -> Schema:
        del depth
        if issubclass(kind, sys.modules["pydantic"].BaseModel):
            describe, config = kind.model_json_schema, kind.model_config
        else:  # a pydantic dataclass
            describe = sys.modules["pydantic"].TypeAdapter(kind).json_schema
            config = getattr(kind, "__pydantic_config__", {})
        schema: Schema = describe(
            by_alias=bool(config.get("serialize_by_alias")),
            mode="serialization",
            ref_template=f"#/$defs/{name}.{{model}}",
        )
        for inner, definition in schema.pop("$defs", {}).items():
            self.definitions[f"{name}.{inner}"] = definition
        return schema


_MAPPINGS = {
    dict,
    collections.OrderedDict,
    collections.defaultdict,
    collections.ChainMap,
    abc.Mapping,
    abc.MutableMapping,
}


def any_of(schemas: abc.Iterable[Schema]) -> Schema:
    """Return a schema that matches if one of several does."""
    distinct: list[Schema] = []
    for schema in schemas:
        for each in schema["anyOf"] if set(schema) == {"anyOf"} else [schema]:
            if each not in distinct:
                distinct.append(each)
    if {} in distinct or not distinct:
        return {}
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _object(properties: Schema, required: list[str]) -> Schema:
    return _with({"type": "object"}, properties=properties, required=required)


def _with(schema: Schema, **keywords: Any) -> Schema:
    """Return a schema with the keywords whose values are not empty."""
    return schema | {name: value for name, value in keywords.items() if value}


def _requirement(hint: Any, *, default: bool) -> bool:
    """Whether a key of a TypedDict is required, by its qualifiers in any order."""
    while (origin := typing.get_origin(hint)) is not None:
        if origin is typing.Required or origin is typing.NotRequired:
            return origin is typing.Required
        if origin is not typing.Annotated and getattr(origin, "_name", None) != "ReadOnly":
            break
        hint = typing.get_args(hint)[0]
    return default


def _enumeration(kind: type[enum.Enum]) -> Schema:
    if issubclass(kind, enum.Flag):
        return {"type": "integer"}  # combinations of flags have values, but no names
    return _choices([member.value for member in kind])


def _choices(values: abc.Sequence[Any]) -> Schema:
    if not 0 < len(values) <= MAX_CHOICES:
        return {}
    encoded = dict.fromkeys(encode(value) for value in values)
    return {"enum": [orjson.loads(each) for each in encoded]}
