"""Sample spans for trying out pages and programs that show runs.

Values follow the types, properties and enums of the declared schemas, to a limited depth.
Randomness is passed in, so that the same numbers give the same spans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

_WORDS: Final = ("order", "delay", "answer", "refund", "ticket", "weather", "plan", "city")
_MAX_DEPTH: Final = 4
_MAX_MEMBERS: Final = 20
_SHORTEST_US: Final = 1000
_LONGEST_US: Final = 5_000_000

RandBelow: TypeAlias = Callable[[int], int]
"""A source of randomness: returns a whole number from zero to below its argument."""


class SampleSpan(NamedTuple):
    """One complete sample span."""

    schema_name: str
    payload: dict[str, Any]
    result: dict[str, Any]
    started_at: int
    finished_at: int


def sample_spans(
    randbelow: RandBelow, declared: Sequence[Mapping[str, Any]], count: int, now: int
) -> Sequence[SampleSpan]:
    """Return a number of consecutive spans of the declared types. The last one ends now."""
    durations = [_SHORTEST_US + randbelow(_LONGEST_US) for _ in range(count)]
    start = now - sum(durations)
    spans: list[SampleSpan] = []
    for duration in durations:
        one = declared[randbelow(len(declared))] if declared else {"name": "test:span"}
        payload, result = (
            _object(randbelow, one.get(part), _MAX_DEPTH)
            for part in ("params_schema", "result_schema")
        )
        spans.append(SampleSpan(one["name"], payload, result, start, start + duration))
        start += duration
    return spans


def _object(randbelow: RandBelow, schema: object, depth: int) -> dict[str, Any]:
    properties = _mapping(_mapping(schema).get("properties"))
    if depth == 0:
        return {}
    return {
        name: _value(randbelow, _mapping(properties[name]), depth - 1)
        for name in list(properties)[:_MAX_MEMBERS]
    }


def _value(randbelow: RandBelow, schema: Mapping[str, Any], depth: int) -> object:
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        values = cast("list[object]", choices)
        return values[randbelow(len(values))]
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        kind = cast("list[object]", kind)[0]
    if kind == "object":
        return _object(randbelow, schema, depth)
    if kind == "array":
        item = _mapping(schema.get("items"))
        return [_value(randbelow, item, depth - 1) for _ in range(2 if depth > 0 else 0)]
    if kind in ("integer", "number"):
        return 1 + randbelow(100)
    if kind == "boolean":
        return randbelow(2) == 1
    return None if kind == "null" else " ".join(_WORDS[randbelow(len(_WORDS))] for _ in range(3))


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
