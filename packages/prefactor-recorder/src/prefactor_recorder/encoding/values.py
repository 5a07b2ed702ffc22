"""Encodes a host's values as JSON objects. Never fails, and keeps no reference to them.

Values are encoded at once, because the host may change them right afterwards. orjson encodes a
small payload of plain JSON values in about a microsecond. `plain_json` recognises such payloads
first, because orjson cannot be interrupted. Everything else is copied by `truncation`, within a
budget that depends on `max_payload_size` and not on the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from prefactor_recorder.encoding.plain_json import (
    MAX_DEPTH,
    OPTIONS,
    budget_left,
    is_small,
    type_of,
)
from prefactor_recorder.guard import failures, not_interrupts

MAX_SCHEMA_DEPTH = 128
"""Maximum nesting of a JSON Schema that a server accepts: 64 objects inside each other."""
DEFAULT_LIMIT = 1_000_000
"""Default maximum size of an encoded value in bytes."""

_LIGHT_FACTOR = 4
_dumps = orjson.dumps


def encode(value: Any) -> bytes:
    """Encode a value built by the recorder, such as a schema, without truncating it."""
    try:
        # Without datetimes, whose time zones may be code of the host; see `plain_json`.
        return orjson.dumps(value, option=OPTIONS | orjson.OPT_PASSTHROUGH_DATETIME)
    except not_interrupts():  # it may contain objects of the host, whose code may raise
        from prefactor_recorder.encoding.truncation import json_copy  # noqa: PLC0415 - rarely needed

        return orjson.dumps(json_copy(value, DEFAULT_LIMIT).value)


def encode_object(value: Any, limit: int = DEFAULT_LIMIT) -> bytes:
    """Encode any value as a JSON object of at most `limit` bytes.

    A value that is not an object becomes `{"value": …}`, and None becomes `{}`. If the limit forces
    a truncation, the member `prefactor.truncated` names what is missing; see
    `prefactor_otel.truncation`.
    """
    size = 0
    if type_of(value) is dict:
        try:
            if is_small(value) or budget_left(value, _LIGHT_FACTOR * limit, MAX_DEPTH) >= 0:
                encoded = _dumps(value, None, OPTIONS)
                size = len(encoded)
                if size <= limit:
                    return encoded
        except not_interrupts():  # a key that is not text, a change by another thread
            pass
    return b"{}" if value is None else _encode_copy(value, limit, size)


def _encode_copy(value: Any, limit: int, size: int) -> bytes:
    from prefactor_recorder.encoding.truncation import json_copy  # noqa: PLC0415 - most programs record only plain values

    try:
        encoded = orjson.dumps(json_copy(value, limit).as_object(limit, size), option=OPTIONS)
    except not_interrupts() as error:  # a bug here must not lose the span
        failures.note("encode", error)
        return b'{"prefactor.encoding_failed":true}'
    if len(encoded) <= limit:
        return encoded
    from prefactor_otel.truncation import truncate  # noqa: PLC0415 - rarely needed

    return truncate(encoded, limit)


def exceeds_depth(value: Any, most: int) -> bool:
    """Whether a JSON value has more than `most` levels of objects and lists."""
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
