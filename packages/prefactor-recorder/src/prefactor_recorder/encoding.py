"""From whatever a host hands over to the bytes of a JSON object. Never fails, never shares.

What is encoded is the value as it is at that moment: the host may change it a line later. orjson
does the usual case in well under a microsecond; what it refuses (a key that is no text, a number
beyond 64 bits, a cycle) is copied into something it takes, and only then does it cost more.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from numbers import Number
from pathlib import PurePath
from typing import Any, cast

import orjson

from .guard import failures

OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
MAX_DEPTH = 64
"""Levels of nesting that are kept when a value has to be copied; deeper ones become text."""
MAX_MEMBERS = 100_000
"""Members of lists and objects, at all levels together, that are kept when a value is copied."""
MAX_TEXT = 2000
"""Characters kept of the `repr()` of an object that has no JSON form."""


def encode(value: Any) -> bytes:
    """Any value as JSON."""
    try:
        return orjson.dumps(value, plain, OPTIONS)
    except Exception as error:  # noqa: BLE001 - TypeError mostly, but the value's code runs there
        if isinstance(error.__cause__, BaseException) and not isinstance(
            error.__cause__, Exception
        ):
            # orjson wraps what the value's own code raised; an interrupt is meant for the host.
            raise error.__cause__ from None
        return _encode_tamed(value)


def _encode_tamed(value: Any) -> bytes:
    try:
        return orjson.dumps(tamed(value), plain, OPTIONS)
    except Exception as error:  # noqa: BLE001 - a container that another thread changes meanwhile
        failures.note("encode", error)
        return b'{"prefactor.encoding_failed":true}'


def encode_object(value: Any) -> bytes:
    """Any value as a JSON object: what is no mapping becomes `{"value": …}`, None `{}`."""
    if value is None:
        return b"{}"
    if type(value) is dict:  # the usual case, without another call
        return encode(value)
    encoded = encode(value)
    return encoded if encoded.startswith(b"{") else b'{"value":%b}' % encoded


def plain(value: Any) -> Any:
    """What stands for an object that JSON does not know; called by orjson."""
    try:
        return _converted(value)
    except Exception:  # noqa: BLE001 - a method of the host's object
        return _described(value)


def _converted(value: Any) -> Any:
    """Models are known by their methods, so that nothing has to be imported to ask."""
    kind = cast("Any", type(value))
    if hasattr(kind, "model_dump"):
        return value.model_dump(mode="json")
    for method in ("to_dict", "tolist"):
        if hasattr(kind, method):
            return getattr(value, method)()
    for types, convert in _CONVERSIONS:
        if issubclass(kind, types):
            return convert(value)
    return _described(value)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        import base64  # noqa: PLC0415 - hardly anybody needs it

        return base64.b64encode(value).decode()


def _described(value: Any) -> str:
    """The words an object has for itself, cut; its type when it has none."""
    try:
        text = str(value) if isinstance(value, BaseException) else repr(value)
    except Exception:  # noqa: BLE001 - a __repr__ of the host
        text = f"<{type(value).__qualname__}>"
    return scrubbed(text[:MAX_TEXT])


def scrubbed(text: str) -> str:
    """The same text with unpaired surrogates replaced: UTF-8 has no bytes for them."""
    return text.encode("utf-8", "replace").decode()


def tamed(value: Any) -> Any:
    """A copy that JSON can hold: text keys, numbers within range, no cycles, bounded in all ways.

    What a member does not let itself be asked for is None; the others are kept.
    """
    return _Taming().copy(value)


class _Taming:
    """One copy in the making."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_MEMBERS

    def copy(self, value: Any, depth: int = 0, above: frozenset[int] = frozenset()) -> Any:
        return _scalar(value) if _is_scalar(value) else self._nested(value, depth, above)

    def _nested(self, value: Any, depth: int, above: frozenset[int]) -> Any:
        # Depth alone would not do: between objects that all know each other there are more paths
        # than anybody can walk, and the host waits for this.
        if self._left <= 0 or id(value) in above:
            return "..."
        if depth >= MAX_DEPTH:
            return _described(value)
        try:
            return self._container(value, depth + 1, above | {id(value)})
        except Exception:  # noqa: BLE001 - the host's code; the rest of the payload is kept
            return _described(value)

    def _container(self, value: Any, depth: int, above: frozenset[int]) -> Any:
        kind = cast("Any", type(value))
        if issubclass(kind, Mapping):
            # The keys first, at once: another thread may change it meanwhile.
            keys = list(value)
            return self._members(keys, lambda key: value[key], depth, above)
        if issubclass(kind, list | tuple | set | frozenset):
            members = list(value)
            self._left -= len(members)
            return [self.copy(member, depth, above) for member in members]
        if dataclasses.is_dataclass(kind):
            names = [field.name for field in dataclasses.fields(kind)]
            return self._members(names, lambda name: getattr(value, name, None), depth, above)
        try:
            encoded = orjson.dumps(value, option=OPTIONS)  # dates, UUIDs, enumerations
        except (TypeError, ValueError, RecursionError):
            self._left -= 1
            return self.copy(plain(value), depth, above)
        return orjson.loads(encoded)

    def _members(
        self, keys: list[Any], get: Callable[[Any], Any], depth: int, above: frozenset[int]
    ) -> dict[str, Any]:
        self._left -= len(keys)
        copied: dict[str, Any] = {}
        for key in keys:
            try:
                member = get(key)
            except Exception:  # noqa: BLE001 - a property of the host's object
                member = None
            copied[_key(key)] = self.copy(member, depth, above)
        return copied


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | str | int | float)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return value
    return int(value) if -(2**63) <= value < 2**64 else _digits(value)


def _digits(number: int) -> str:
    """A number beyond 64 bits as text."""
    if number.bit_length() > MAX_TEXT:  # Python itself refuses to write out the longest ones
        return f"<int of {number.bit_length()} bits>"
    return str(int(number))


def _key(key: Any) -> str:
    return scrubbed(key if isinstance(key, str) else _described(key))


_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    ((bytes, bytearray, memoryview), lambda value: _text(bytes(value))),
    (Mapping, dict),
    ((AbstractSet, Sequence), list),
    ((Number, PurePath), str),
)
"""The first that fits: bytes are a sequence as well."""
