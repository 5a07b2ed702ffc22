"""Recognises values that orjson can encode as they are, and bounds what that costs.

Most payloads are small dicts of texts and numbers. They take the fast path through `values`;
everything else is copied by `truncation` first.
"""

from __future__ import annotations

import datetime as dt
import types
import uuid
from collections.abc import Callable
from typing import Any

import orjson

OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
MAX_DEPTH = 96
"""Levels of nesting kept of a payload. A server accepts a few more, because requests wrap
payloads."""
MAX_TEXT = 2000
"""Characters kept of the description of an object that has no JSON form."""

type_of: Callable[[Any], Any] = type
"""`type`, but returning `Any`, so that type checkers do not narrow the value."""
LEAVES = frozenset(
    {
        *(str, bytes, int, float, bool, complex, type(None), dt.datetime, dt.date, dt.time),
        *(dt.timedelta, uuid.UUID, type, types.ModuleType),
    }
)
"""Classes whose instances have no members."""
_FEW, _SHORT = 32, 8192
_MEMBER = 8
_CONTAINER = 32
_ATOMS = frozenset({int, float, bool, type(None), dt.date, uuid.UUID})


def is_small(value: dict[Any, Any]) -> bool:  # noqa: C901 - two loops in one, for each payload
    """Whether a dict holds only a few short texts and numbers, at most two levels deep.

    Most payloads do, and this check takes a third of the time of `budget_left`.
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
                elif len(name) > _SHORT or (kind not in _ATOMS and not _is_plain_datetime(inner)):
                    return False
        elif len(key) > _SHORT or (kind not in _ATOMS and not _is_plain_datetime(member)):
            return False
    return True


def budget_left(value: Any, room: int, depth: int) -> int:
    """Return what is left of a budget of `room` after encoding a plain list or dict.

    Negative if the budget is too small or the value is not plain JSON. It has to be copied then.
    The cost is an upper bound of the encoded bytes for most payloads, and each step of the walk
    adds to it. May raise, because a key need not be text and another thread may change the value.
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
        elif kind not in _ATOMS and not _is_plain_datetime(member):
            return -1
    return room


def _is_plain_datetime(value: Any) -> bool:
    """Whether a value is a datetime whose time zone is not code of the host.

    orjson ends the process with a segmentation fault if a time zone raises.
    """
    if type_of(value) is not dt.datetime:
        return False
    zone = type_of(value.tzinfo)
    return zone in _ZONES or zone.__module__ == "zoneinfo"  # not imported by most programs


_ZONES = frozenset({type(None), dt.timezone})


def is_leaf(value: Any) -> bool:
    """Whether a value has no members, such as a text or a number."""
    return type(value) in LEAVES


def replace_surrogates(text: str) -> str:
    """Return the text with unpaired surrogates replaced, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()
