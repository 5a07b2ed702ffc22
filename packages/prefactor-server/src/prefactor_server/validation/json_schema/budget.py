"""Decides whether a payload can be checked, and a mismatch explained, within the limits.

Most of a schema is tried once for any payload. The rest is tried on each part of the payload, so
the cost of a check is known once the parts are counted. Schemas with little of the latter need no
count, because they are cheap for any accepted payload.
"""

from __future__ import annotations

from typing import Final, cast

from prefactor_server.validation.budget import Budget
from prefactor_server.validation.json_schema.cost import Cost

_MAX_TRIED: Final = 500_000
"""Subschemas tried in one check: at 50 ns for each, some 25 ms."""

_FREE_REPEATED: Final = 1
"""With at most this many, parts are not counted. A payload of 1 MB has at most 500,000."""

_MAX_MATCHING: Final = 1 << 20
"""Twentieths of a microsecond. This allows one light pattern on the largest payload."""

_MAX_EXPLAINED_PARTS: Final = 20_000
"""To locate a mismatch, the validator copies the value, at about 1 µs for each part."""

_MAX_EXPLAINED_VALUES: Final = 5_000
"""It also copies the schema's values that it compares with, at about 5 µs each."""

_MAX_EXPLAINED_STEPS: Final = 1_500
"""To report that no alternative matches, it explains each of them first, at 20 µs a step."""

_PER_STEP: Final = 20
"""Tried subschemas, or twentieths of a microsecond, that one step of the budget pays for."""


def can_check(cost: Cost, payload: object, budget: Budget) -> bool:
    """Return whether a check stays within its limits, and take its cost from the budget if so."""
    if cost.repeated <= _FREE_REPEATED and not cost.patterns:
        return budget.take(1 + cost.weight // _PER_STEP)
    max_parts = _parts_for(_MAX_TRIED, cost)
    parts, characters = _size(payload, max_parts)
    matching = characters * cost.patterns
    if parts > max_parts or matching > _MAX_MATCHING:
        budget.charge(parts // _PER_STEP)
        return False
    tried = cost.weight + parts * (1 + cost.repeated)
    return budget.take(1 + (tried + matching) // _PER_STEP)


def can_explain(cost: Cost, payload: object, budget: Budget) -> bool:
    """Return whether explaining a mismatch stays within its limits, and take its cost if so."""
    if cost.values > _MAX_EXPLAINED_VALUES:
        return False
    max_parts = _MAX_EXPLAINED_PARTS
    if cost.has_alternatives:
        max_parts = min(max_parts, _parts_for(_MAX_EXPLAINED_STEPS, cost))
    parts, _ = _size(payload, max_parts)
    steps = 10 + parts + 5 * cost.values
    if cost.has_alternatives:
        steps += _PER_STEP * (cost.weight + parts * cost.repeated)
    return parts <= max_parts and budget.take(steps)


def _parts_for(steps: int, cost: Cost) -> int:
    """Return the number of payload parts that can be checked in a number of steps."""
    return max(steps - cost.weight, 0) // max(cost.repeated, 1)


def _size(payload: object, max_parts: int) -> tuple[int, int]:
    """Count the parts of a payload and the characters in them, up to `max_parts` parts."""
    parts = characters = 0
    stack = [payload]
    while stack and parts <= max_parts:
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
