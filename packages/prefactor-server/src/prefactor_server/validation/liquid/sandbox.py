"""What a template gets to see of a payload, handed out one look-up at a time.

Payloads are never walked or copied up front: a template names three fields of a payload that may
hold ten thousand. Each value is made harmless at the moment it is looked up: texts are cut, what
was wrapped as sensitive becomes its label, objects and arrays become views without attributes, and
nothing of Python is within reach.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast, overload

MAX_TEXT: Final = 4_096
"""Characters of one text that a template sees or makes."""

MAX_ITEMS: Final = 4_096
"""Items of one list that a filter takes or makes."""

MAX_INTEGER_BITS: Final = 128

CHARACTERS_PER_STEP: Final = 256
"""Characters of a text that a step pays for handling once."""

STEPS_PER_VALUE: Final = 3
"""What looking up one value takes, or making it harmless."""

_MAX_LABEL: Final = 100


class LimitReached(Exception):
    """A render asked for more than it may have; it ends without a summary."""


class RenderBudget:
    """What is left of the work that one render may do; see `budget` for what a step is."""

    __slots__ = ("left", "steps")

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take some of it.

        Raises:
            LimitReached: there was less left.
        """
        self.left -= steps
        if self.left < 0:
            raise LimitReached("the render took too many steps")

    def spend_on(self, value: object) -> None:
        """Take what it costs to handle a value once."""
        steps = STEPS_PER_VALUE
        if isinstance(value, str):
            steps += len(value) // CHARACTERS_PER_STEP
        elif isinstance(value, list):
            steps += len(cast("list[object]", value))
        self.spend(steps)


class ObjectView(Mapping[str, object]):
    """A JSON object as a template sees it; as text it is empty."""

    __slots__ = ("_budget", "_fields")

    def __init__(self, fields: Mapping[str, object], budget: RenderBudget) -> None:
        self._fields = fields
        self._budget = budget

    def __getitem__(self, key: object) -> object:
        if not isinstance(key, str):
            raise KeyError(key)
        return sanitize(self._fields[key], self._budget)

    def __iter__(self) -> Iterator[str]:
        for key in self._fields:
            self._budget.spend(1)
            yield key[:MAX_TEXT]

    def __len__(self) -> int:
        return len(self._fields)

    def __str__(self) -> str:
        return ""

    def __liquid__(self) -> object:
        """Return what the library compares, with `empty` for example."""
        return self if self._fields else {}

    # Comparing contents would let a template compare megabytes, again and again.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectView) and other._fields is self._fields

    def __hash__(self) -> int:
        return id(self._fields)


class ListView(Sequence[object]):
    """A JSON array as a template sees it; as text it is empty."""

    __slots__ = ("_budget", "_items")

    def __init__(self, items: Sequence[object], budget: RenderBudget) -> None:
        self._items = items
        self._budget = budget

    @overload
    def __getitem__(self, index: int) -> object: ...
    @overload
    def __getitem__(self, index: slice) -> list[object]: ...
    def __getitem__(self, index: int | slice) -> object:
        if isinstance(index, slice):
            return [sanitize(item, self._budget) for item in self._items[index][:MAX_ITEMS]]
        return sanitize(self._items[index], self._budget)

    def __iter__(self) -> Iterator[object]:
        for item in self._items:
            yield sanitize(item, self._budget)

    def __len__(self) -> int:
        return len(self._items)

    def __str__(self) -> str:
        return ""

    def __liquid__(self) -> object:
        """Return what the library compares, with `empty` for example."""
        return self if self._items else []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListView) and other._items is self._items

    def __hash__(self) -> int:
        return id(self._items)


def sanitize(value: object, budget: RenderBudget) -> object:
    """Make a value of a payload, or one that a filter made, harmless."""
    if isinstance(value, str):
        value = value[:MAX_TEXT]
        budget.spend(STEPS_PER_VALUE + len(value) // CHARACTERS_PER_STEP)
        return value
    budget.spend(STEPS_PER_VALUE)
    if isinstance(value, bool | ObjectView | ListView):
        return value
    if isinstance(value, int | float):
        return value if is_bounded_number(value) else None
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return sensitive_label(fields) if "$sensitive" in fields else ObjectView(fields, budget)
    if isinstance(value, list):
        return ListView(cast("list[object]", value), budget)
    return None


def length_of(value: object) -> int:
    """The length of a text, a list or an object; 0 for everything else."""
    return len(cast("str", value)) if isinstance(value, str | list | ObjectView | ListView) else 0


def to_text(value: object) -> str:
    """A value as it stands in a text. What has no plain text of its own is empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return ""


def is_bounded_number(number: float) -> bool:
    """Whether a number is one that a template may see: finite, and of bounded length."""
    if isinstance(number, int):
        return number.bit_length() <= MAX_INTEGER_BITS
    return math.isfinite(number)


def sensitive_label(wrapper: Mapping[str, object]) -> str:
    """What is shown in place of a value that was wrapped as sensitive."""
    labels = wrapper.get("labels")
    names = cast("list[object]", labels) if isinstance(labels, list) else []
    shown = ", ".join(name for name in names[:_MAX_LABEL] if isinstance(name, str))
    return f"[{shown[:_MAX_LABEL] or 'sensitive'}]"
