"""Whether a payload can be checked at a given cost, and whether a mismatch can be explained.

Most of a schema is tried once, whatever the payload; the rest is tried on each of its parts, so
what a check takes is known once the parts are counted. Counting is left out where there is little
of it: such a check is cheap for any payload that is accepted.
"""

from __future__ import annotations

from typing import Final, cast

from prefactor_server.validation.budget import Budget
from prefactor_server.validation.json_schema.cost import Cost

_MAX_TRIED: Final = 500_000
"""Subschemas tried in one check: at 50 ns for each, some 25 ms."""

_FREE_REPEATED: Final = 1
"""Even a payload of a megabyte has no more than half a million parts."""

_MAX_MATCHING: Final = 1 << 20
"""Twentieths of a microsecond: one light pattern against the largest payload."""

_MAX_EXPLAINED_PARTS: Final = 20_000
"""To say what is wrong somewhere, the validator copies the value, at about 1 µs for each part."""

_MAX_EXPLAINED_VALUES: Final = 5_000
"""It also copies what the schema compares with, at about 5 µs for each value."""

_MAX_EXPLAINED_STEPS: Final = 1_500
"""To say that no alternative matches, it first explains each of them: 20 µs for each step."""

_PER_STEP: Final = 20
"""Subschemas tried, or twentieths of a microsecond, that a step of a request's budget pays for."""


def can_check(cost: Cost, payload: object, budget: Budget) -> bool:
    """Whether checking the payload takes no longer than it may; if so, it is paid for."""
    if cost.repeated <= _FREE_REPEATED and not cost.patterns:
        return budget.take(1 + cost.weight // _PER_STEP)
    most = _parts_for(_MAX_TRIED, cost)
    parts, characters = _size(payload, most)
    matching = characters * cost.patterns
    if parts > most or matching > _MAX_MATCHING:
        budget.charge(parts // _PER_STEP)
        return False
    tried = cost.weight + parts * (1 + cost.repeated)
    return budget.take(1 + (tried + matching) // _PER_STEP)


def can_explain(cost: Cost, payload: object, budget: Budget) -> bool:
    """Whether saying what does not match takes no longer than it may; if so, it is paid for."""
    if cost.values > _MAX_EXPLAINED_VALUES:
        return False
    most = _MAX_EXPLAINED_PARTS
    if cost.has_alternatives:
        most = min(most, _parts_for(_MAX_EXPLAINED_STEPS, cost))
    parts, _ = _size(payload, most)
    steps = 10 + parts + 5 * cost.values
    if cost.has_alternatives:
        steps += _PER_STEP * (cost.weight + parts * cost.repeated)
    return parts <= most and budget.take(steps)


def _parts_for(steps: int, cost: Cost) -> int:
    """The parts of a payload that can be checked in so many steps."""
    return max(steps - cost.weight, 0) // max(cost.repeated, 1)


def _size(payload: object, enough: int) -> tuple[int, int]:
    """Count the parts of a payload and the characters in them, up to `enough` parts."""
    parts = characters = 0
    stack = [payload]
    while stack and parts <= enough:
        value = stack.pop()
        parts += 1
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, dict):
            fields = cast("dict[object, object]", value)
            characters += sum(len(key) for key in fields if isinstance(key, str))
            stack.extend(fields.values())
        elif isinstance(value, list):
            stack.extend(cast("list[object]", value))
    return parts, characters
