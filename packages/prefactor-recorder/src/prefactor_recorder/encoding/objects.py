"""Expands a value into its members, or into a plain value that represents it.

Nothing is read from an object that its class does not expose. Models are dumped by their own
serializer, and classes with fields by their fields. An object of an unknown class is only
described: by its `repr()` if nothing it refers to has members, else by its class name.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import gc
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from itertools import islice
from numbers import Number
from pathlib import PurePath
from typing import Any, NamedTuple, cast

import orjson

from prefactor_recorder.encoding.plain_json import (
    LEAVES,
    MAX_TEXT,
    OPTIONS,
    replace_surrogates,
    type_of,
)
from prefactor_recorder.guard import not_interrupts

MASK = "**********"
"""Replaces a secret, as in pydantic."""
_MAX_CONVERSIONS = 8
_MAX_REFERENCES = 64
_ONLY_NAMED = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    type,
)


class Fields(NamedTuple):
    """The members of an object by name."""

    pairs: Iterable[tuple[Any, Any]]
    length: int | None
    """The number of members, if known."""
    foreign: bool = False
    """Whether the host's own code yields them."""


class Items(NamedTuple):
    """The members of a list."""

    members: Iterable[Any]
    length: int | None
    foreign: bool = False


class Expanded(NamedTuple):
    """The result of expanding a value."""

    value: Any
    """`Fields`, `Items`, a dict, list or tuple, or a text, number, boolean or None."""
    steps: int = 0
    """The steps it took."""
    oversized: tuple[str, ...] = ()
    """Members of a model that were left out because they are too large to dump."""


class Expander:
    """Expands the values of one payload. A model that occurs twice is dumped once.

    Args:
        limit: Bytes to keep of a text or of binary data.
        argument_text: Encodes an argument of an exception as JSON text.
    """

    def __init__(self, limit: int, argument_text: Callable[[Any], str]) -> None:
        self._limit = limit
        self._argument_text = argument_text
        # Holds the model, so that its id is not reused.
        self._dumped: dict[int, tuple[Any, Any]] = {}

    def expand(self, value: Any, steps: int) -> Expanded:
        """Expand a value. Exceptions of the host's code pass through.

        Args:
            value: Any value.
            steps: Maximum number of members to process.
        """
        spent = 0
        oversized: tuple[str, ...] = ()
        for _ in range(_MAX_CONVERSIONS):
            kind = cast("Any", type(value))
            if kind is dict or kind is list or kind is tuple:
                return Expanded(value, spent, oversized)
            if value is None or (issubclass(kind, str | int | float) and not _is_enum(kind)):
                return Expanded(value, spent, oversized)
            if hasattr(kind, "__pydantic_serializer__"):
                value, cost, oversized = self._model(value, steps - spent)
                spent += cost
                continue
            expanded = self._convert(value, kind, steps)
            if isinstance(expanded, Fields | Items):
                return Expanded(expanded, spent, oversized)
            value = expanded
        return Expanded(class_placeholder(value), spent, oversized)

    def _model(self, value: Any, steps: int) -> tuple[Any, int, tuple[str, ...]]:
        known = self._dumped.get(id(value))
        if known is not None:
            return known[1], 0, ()
        from prefactor_recorder.encoding.models import dump  # noqa: PLC0415 - only where models are recorded

        dumped = dump(value, steps, self._plain)
        self._dumped[id(value)] = value, dumped.value
        return dumped

    def _plain(self, value: Any) -> Any:
        """Return a plain value for a member of a model whose type pydantic does not know."""
        try:
            expanded = self._convert(value, type(value), 1)
        except not_interrupts():  # the host's code
            return class_placeholder(value)
        if isinstance(expanded, str):
            return replace_surrogates(expanded)
        return class_placeholder(value) if isinstance(expanded, Fields | Items) else expanded

    def _convert(self, value: Any, kind: Any, steps: int) -> Any:
        if hasattr(kind, "get_secret_value"):
            return MASK
        if issubclass(kind, bytes | bytearray | memoryview):
            return _binary(value, self._limit)
        if _is_enum(kind):
            return value.value
        for method, arguments in _DUMPS:
            if hasattr(kind, method) and (arguments or hasattr(kind, "__fields__")):
                return getattr(value, method)(**arguments)
        expanded = _class_fields(value, kind) or _collection(value, kind)
        return self._convert_other(value, kind, steps) if expanded is None else expanded

    def _convert_other(self, value: Any, kind: Any, steps: int) -> Any:
        if hasattr(kind, "tolist"):
            return _first_rows(value, steps).tolist()
        if hasattr(kind, "to_dict"):
            return _first_rows(value, steps).to_dict()
        if issubclass(kind, dt.datetime | dt.date | dt.time | uuid.UUID):
            return iso_text(value)
        if issubclass(kind, Number | PurePath):
            return str(value)[:MAX_TEXT]
        if issubclass(kind, BaseException):
            from prefactor_recorder.encoding.exception_info import exception_message  # noqa: PLC0415 - seldom part of a payload

            return exception_message(value, self._argument_text)
        return describe(value)


_DUMPS: tuple[tuple[str, dict[str, Any]], ...] = (("model_dump", {"mode": "json"}), ("dict", {}))
"""The methods by which pydantic's models dump themselves, in version 2 and before."""


def _is_enum(kind: type[Any]) -> bool:
    return issubclass(kind, enum.Enum)


def _class_fields(value: Any, kind: Any) -> Fields | None:
    """Return the fields of a dataclass, an attrs class or a msgspec struct.

    Fields that are hidden in `repr()` (`repr=False`, a name with an underscore) are left out, and a
    custom `repr` function of a field is applied.
    """
    if dataclasses.is_dataclass(kind):
        fields = [(each.name, each.name, each.repr) for each in dataclasses.fields(value)]
    elif hasattr(kind, "__attrs_attrs__"):
        fields = [(each.name, each.name, each.repr) for each in kind.__attrs_attrs__]
    elif hasattr(kind, "__struct_fields__"):
        names = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
        fields = [(name, outside, True) for name, outside in names]
    else:
        return None
    return Fields(_shown_fields(value, fields), len(fields))


def _shown_fields(value: Any, fields: list[tuple[str, str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, outside, shows in fields:
        if not shows or name.startswith("_"):
            continue
        try:
            member = getattr(value, name, None)
            shown = shows(member) if callable(shows) else member
        except not_interrupts():  # a property of the host's object
            shown = None
        yield outside, shown


def _collection(value: Any, kind: Any) -> Fields | Items | None:
    """Return the members of a mapping, a sequence or a set, but never those of an iterator."""
    if isinstance(value, Mapping):
        if _inherits(kind, _DICT, "__iter__", "__getitem__", "items"):
            return Fields(_DICT.items(value), _DICT.__len__(value))
        return Fields(_pairs(value), _length(value), foreign=True)
    if isinstance(value, Sequence | AbstractSet | ValuesView):
        builtin = kind.__module__ in {"builtins", "collections", "array"}
        own = not builtin and getattr(kind, "__iter__", None) not in _ITERATIONS
        return Items(cast("Any", value), _length(value), foreign=own)
    return None


_DICT: Any = dict
_BUILTIN: tuple[Any, ...] = (list, tuple, set, frozenset)
_ITERATIONS = frozenset(each.__iter__ for each in _BUILTIN)


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value:
        try:
            member = value[key]
        except not_interrupts():  # keep the other members
            member = None
        yield key, member


def _inherits(kind: type[Any], base: type[Any], *names: str) -> bool:
    return issubclass(kind, base) and all(
        getattr(kind, name) is getattr(base, name) for name in names
    )


def _length(value: Any) -> int | None:
    try:
        return len(value)
    except not_interrupts():  # the host's code, or an OverflowError
        return None


def _first_rows(value: Any, most: int) -> Any:
    """Return the first rows of an array or a table with at most `most` cells.

    Raises:
        ValueError: A single row has more cells.
    """
    cells = getattr(value, "size", None)
    if callable(cells):  # a tensor
        cells = value.numel()
    if cells is None:
        cells = _length(value)
    if cells is None or cells <= most:
        return value
    rows = len(value)
    if rows * most < cells:
        raise ValueError("a row is too large")
    return value[: rows * most // cells]


def _binary(value: Any, limit: int) -> str:
    """Return bytes as text if they are UTF-8, else as base64."""
    if type_of(value) is memoryview and not (value.ndim == 1 and value.c_contiguous):
        value = value.cast("B") if value.c_contiguous else value[:limit].tobytes()
    head = bytes(value[:limit])
    try:
        return head.decode()
    except UnicodeDecodeError as error:
        # The limit may split the last character.
        if len(head) < len(value) and error.start > limit - 4:
            return head[: error.start].decode()
    return base64.b64encode(head).decode()


def iso_text(value: Any) -> str:
    """Return a date, a time or a UUID as text."""
    if type_of(value) is dt.datetime and value.tzinfo is not None:
        # The time zone may be code of the host; see `plain_json`.
        offset = value.utcoffset()
        value = value.replace(tzinfo=None if offset is None else dt.timezone(offset))
    try:
        return cast("str", orjson.loads(orjson.dumps(value, option=OPTIONS)))
    except TypeError:  # a class derived from one of them
        return value.isoformat() if hasattr(value, "isoformat") else str(value)


def describe(value: Any) -> str:
    """Return the truncated `repr()` of an object, or its class name if it holds other objects."""
    kind = type_of(value)
    try:
        if isinstance(value, _ONLY_NAMED):
            return replace_surrogates(f"<{kind.__name__} {value.__name__}>"[:MAX_TEXT])
        if kind.__repr__ is object.__repr__ or not _holds_leaves(value, kind):
            return class_placeholder(value)
        return replace_surrogates(repr(value)[:MAX_TEXT])
    except not_interrupts():  # a __repr__ of the host
        return class_placeholder(value)


def class_placeholder(value: Any) -> str:
    """Return the class name of an object in angle brackets."""
    return replace_surrogates(f"<{type(value).__qualname__}>"[:MAX_TEXT])


def _holds_leaves(value: Any, kind: type[Any]) -> bool:
    """Return whether nothing that an object refers to has members.

    Then its `repr()` contains only texts and numbers. The `repr()` of a nested object might show
    fields that are excluded from it.
    """
    size = 0
    for each in gc.get_referents(value):
        if each is kind:
            continue
        members: list[Any] = [each]
        if type_of(each) is dict:
            members = list(islice(each.values(), _MAX_REFERENCES + 1))
        elif type_of(each) is tuple and len(each) <= _MAX_REFERENCES:
            members = list(each)
        if len(members) > _MAX_REFERENCES or not LEAVES.issuperset(map(type, members)):
            return False
        size += sum(len(member) for member in members if isinstance(member, str | bytes))
    return size <= _MAX_REFERENCES * MAX_TEXT


def int_text(number: int) -> str:
    """Return a number beyond 64 bits as text."""
    if number.bit_length() > MAX_TEXT:  # Python refuses to convert the longest ones
        return f"<int of {number.bit_length()} bits>"
    return str(number)


def key_text(key: Any, depth: int = 0) -> str:
    """Return the name of a member whose key is not text."""
    kind = type_of(key)
    if _is_enum(kind) and depth < _MAX_CONVERSIONS:
        return key_text(key.value, depth + 1)
    if kind is tuple and depth < _MAX_CONVERSIONS and len(key) <= _MAX_REFERENCES:
        parts: list[str] = []
        left = MAX_TEXT  # so that nested tuples do not take a time exponential in their depth
        for each in key:
            if left <= 0:
                break
            parts.append(key_text(each, depth + 1))
            left -= len(parts[-1])
        return f"({', '.join(parts)}{',' * (len(key) == 1)})"[:MAX_TEXT]
    for known, text in _KEYS:
        if issubclass(kind, known):
            return replace_surrogates(text(key)[:MAX_TEXT])
    return describe(key)


_KEYS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (str, str.__str__),
    (bool, bool.__repr__),
    (int, lambda key: int_text(int.__int__(key))),
    (bytes, lambda key: _binary(key, MAX_TEXT)),
    ((dt.datetime, dt.date, dt.time, uuid.UUID), iso_text),
    (PurePath, str),
)
