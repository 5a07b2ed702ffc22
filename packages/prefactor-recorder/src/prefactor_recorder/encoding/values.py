"""Encode a host's values as JSON objects. Never fails, and keeps no reference to them.

Values are encoded at once, because the host may change them a line later. orjson encodes a small
payload of plain JSON values in about a microsecond. `budget_left` recognises such payloads
beforehand, because orjson cannot be interrupted. `json_copy` copies everything else first, within
a budget that depends on `max_payload_size` and not on the value.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from prefactor_recorder.guard import failures

OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
MAX_DEPTH = 96
"""Levels of nesting that are kept of a payload. A server takes a few more, because payloads are
wrapped in requests."""
MAX_SCHEMA_DEPTH = 128
"""Levels of the deepest JSON Schema that a server uses: 64 objects inside each other."""
MAX_TEXT = 2000
"""Characters kept of the description of an object that has no JSON form."""
DEFAULT_LIMIT = 1_000_000
"""Bytes of JSON that are kept of a value if nothing else is said."""

type_of: Callable[[Any], Any] = type
"""The class of a value, about which a type checker knows nothing; as fast as `type`."""
_FEW, _SHORT = 32, 8192
_MEMBER = 8
_CONTAINER = 32
_LIGHT_FACTOR = 4
_dumps = orjson.dumps
_ATOMS = frozenset({int, float, bool, type(None), dt.datetime, dt.date, uuid.UUID})


def encode(value: Any) -> bytes:
    """Encode a value of the recorder's own making, such as a schema. Nothing of it is cut."""
    try:
        return orjson.dumps(value, option=OPTIONS)
    except Exception:  # noqa: BLE001 - a part of it came from the host, and its code runs in there
        from prefactor_recorder.encoding.json_copy import json_copy  # noqa: PLC0415 - hardly ever needed

        return orjson.dumps(json_copy(value, DEFAULT_LIMIT).value)


def encode_object(value: Any, limit: int = DEFAULT_LIMIT) -> bytes:
    """Encode any value as a JSON object of at most `limit` bytes.

    A value that is not an object becomes `{"value": …}`, None `{}`. What is left out because of the
    limit is named in the member `prefactor.truncated`; see `truncation`.
    """
    size = 0
    if type_of(value) is dict:
        try:
            if _is_small(value) or budget_left(value, _LIGHT_FACTOR * limit, MAX_DEPTH) >= 0:
                encoded = _dumps(value, None, OPTIONS)
                size = len(encoded)
                if size <= limit:
                    return encoded
        except Exception:  # noqa: BLE001, S110 - a key that is not text, a thread that changes it
            pass
    return b"{}" if value is None else _encode_copy(value, limit, size)


def _is_small(value: dict[Any, Any]) -> bool:  # noqa: C901 - two loops in one, for each payload
    """Whether a dict holds a few short texts and numbers, two levels deep at most.

    Most payloads do, and this takes a third of the time of `budget_left`.
    """
    if len(value) > _FEW:
        return False
    for key, member in value.items():
        kind = type_of(member)
        if kind is str:
            if len(key) + len(member) > _SHORT:
                return False
        elif kind is dict and len(member) <= _FEW:
            for name, inner in member.items():
                kind = type_of(inner)
                if kind is str:
                    if len(name) + len(inner) > _SHORT:
                        return False
                elif len(name) > _SHORT or kind not in _ATOMS:
                    return False
        elif len(key) > _SHORT or kind not in _ATOMS:
            return False
    return True


def budget_left(value: Any, room: int, depth: int) -> int:
    """Price what orjson would have to do for a plain list or dict; what is left of `room` after it.

    Negative if it is too much, or not plain JSON: then the value has to be copied. The price is an
    upper bound of the bytes for most payloads, and each step of the walk lowers `room`. May raise:
    a key need not be text, and another thread may change the value.
    """
    room -= _CONTAINER + _MEMBER * len(value)
    if room < 0 or depth == 0:
        return -1
    members = value
    if type_of(value) is dict:
        room -= sum(map(len, value))
        members = value.values()
    for member in members:
        kind = type_of(member)
        if kind is str:
            room -= len(member)
        elif kind is dict or kind is list or kind is tuple:
            room = budget_left(member, room, depth - 1)
            if room < 0:
                return -1
        elif kind not in _ATOMS:
            return -1
    return room


def _encode_copy(value: Any, limit: int, size: int) -> bytes:
    from prefactor_recorder.encoding.json_copy import json_copy  # noqa: PLC0415 - most programs record plain values alone

    try:
        encoded = orjson.dumps(json_copy(value, limit).as_object(limit, size), option=OPTIONS)
    except Exception as error:  # noqa: BLE001 - a defect of ours must not cost the span
        failures.note("encode", error)
        return b'{"prefactor.encoding_failed":true}'
    if len(encoded) <= limit:
        return encoded
    from prefactor_recorder.encoding.truncation import truncate  # noqa: PLC0415 - the copy was too large by a little

    return truncate(encoded, limit)


def replace_surrogates(text: str) -> str:
    """The same text with unpaired surrogates replaced: UTF-8 has no bytes for them."""
    return text.encode("utf-8", "replace").decode()


def exceeds_depth(value: Any, most: int) -> bool:
    """Whether a JSON value has more levels of objects and lists than that."""
    level: list[Any] = [value]
    for _ in range(most):
        members: list[Iterable[Any]] = [
            each.values() if isinstance(each, Mapping) else each for each in level
        ]
        level = [each for several in members for each in several if _has_members(each)]
        if not level:
            return False
    return True


def _has_members(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)
