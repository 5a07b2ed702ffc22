"""Sample spans for trying out pages and programs that show runs.

Values follow the types, properties and enums of the declared schemas, up to a limited depth and
number.
Randomness is passed in, so that the same numbers give the same spans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias, cast

from prefactor_server.domain.times import MILLISECOND_US, SECOND_US

_WORDS: Final = ("order", "delay", "answer", "refund", "ticket", "weather", "plan", "city")
_MAX_DEPTH: Final = 4
_MAX_MEMBERS: Final = 20
_MAX_VALUES: Final = 200
_MAX_CHOICE: Final = 200
_SHORTEST_US: Final = MILLISECOND_US
_LONGEST_US: Final = 5 * SECOND_US

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
            _Sampler(randbelow).members(one.get(part), _MAX_DEPTH)
            for part in ("params_schema", "result_schema")
        )
        spans.append(SampleSpan(one["name"], payload, result, start, start + duration))
        start += duration
    return spans


class _Sampler:
    """Makes the values of one payload, of which there are a limited number."""

    def __init__(self, randbelow: RandBelow) -> None:
        self._randbelow = randbelow
        self._left = _MAX_VALUES

    def members(self, schema: object, depth: int) -> dict[str, Any]:
        """Return an object with the declared properties, or with the first of them."""
        properties = _mapping(_mapping(schema).get("properties"))
        made: dict[str, Any] = {}
        for name in islice(properties, _MAX_MEMBERS if depth > 0 else 0):
            if self._left <= 0:
                break
            made[name] = self._value(_mapping(properties[name]), depth - 1)
        return made

    def _value(self, schema: Mapping[str, Any], depth: int) -> object:
        self._left -= 1
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            values = cast("list[object]", choices)
            chosen = values[self._randbelow(len(values))]
            # Others may be as large as the schema.
            size = len(chosen) if isinstance(chosen, str) else 0
            if not isinstance(chosen, list | dict) and size <= _MAX_CHOICE:
                return chosen
        kind = schema.get("type")
        if isinstance(kind, list) and kind:
            kind = cast("list[object]", kind)[0]
        if kind == "object":
            return self.members(schema, depth)
        if kind == "array":
            item = _mapping(schema.get("items"))
            return [self._value(item, depth - 1) for _ in range(2 if depth > 0 else 0)]
        if kind in ("integer", "number"):
            return 1 + self._randbelow(100)
        if kind == "boolean":
            return self._randbelow(2) == 1
        return None if kind == "null" else " ".join(self._word() for _ in range(3))

    def _word(self) -> str:
        return _WORDS[self._randbelow(len(_WORDS))]


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
