"""Whether a payload can be checked at a given cost, and whether a mismatch can be explained.

Most of a schema is tried once, whatever the payload; the rest is tried on each of its parts, so
what a check takes is known once the parts are counted. Counting is left out where there is little
of it: such a check is cheap for any payload that is accepted.
"""

from __future__ import annotations

from typing import Final, cast

from prefactor_server.checks.schema_cost import Cost

_MAX_STEPS: Final = 5_000_000
"""At 44 ns for a step, about 0.2 s."""

_FREE_REPEATED: Final = 10
"""Even a payload of a megabyte has no more than half a million parts."""

_MAX_MATCHING: Final = 1 << 20
"""Microseconds: one light pattern against the largest payload."""

_MAX_EXPLAINED_PARTS: Final = 20_000
"""To say what is wrong somewhere, the validator copies the value, at about 1 µs for each part."""

_MAX_EXPLAINED_STEPS: Final = 5_000
"""To say that no alternative matches, it first explains each of them: 20 µs for each step."""


def can_check(cost: Cost, payload: object) -> bool:
    """Whether checking the payload takes no longer than it may."""
    if cost.repeated <= _FREE_REPEATED and not cost.patterns:
        return True
    most = _parts_for(_MAX_STEPS, cost)
    parts, characters = _size(payload, most)
    return parts <= most and characters * cost.patterns <= _MAX_MATCHING


def can_explain(cost: Cost, payload: object) -> bool:
    """Whether saying what does not match takes no longer than it may."""
    most = _MAX_EXPLAINED_PARTS
    if cost.has_alternatives:
        most = min(most, _parts_for(_MAX_EXPLAINED_STEPS, cost))
    parts, _ = _size(payload, most)
    return parts <= most


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
