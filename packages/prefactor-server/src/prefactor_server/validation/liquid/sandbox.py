"""The view of a payload that a template has, converted lookup by lookup.

Payloads are never traversed or copied in advance, because a template uses a few fields of a payload
that may have thousands. Each value is made safe when it is looked up: texts are cut, sensitive
values become their label, objects and arrays become views without attributes, and no other Python
object is reachable.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast, overload

MAX_TEXT: Final = 4_096
"""The most characters of a text that a template can read or produce."""

MAX_ITEMS: Final = 4_096
"""The most items of a list that a filter can take or produce."""

MAX_INTEGER_BITS: Final = 128

CHARACTERS_PER_STEP: Final = 256
"""The number of characters that can be processed in one step."""

STEPS_PER_VALUE: Final = 3
"""The cost of looking up a value, or of making it safe."""

_MAX_LABEL: Final = 100


class LimitReached(Exception):
    """A render exceeded a limit and ends without a summary."""


class RenderBudget:
    """The remaining work of a render; see `budget` for the size of a step."""

    __slots__ = ("left", "steps")

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take steps.

        Raises:
            LimitReached: too few were left.
        """
        self.left -= steps
        if self.left < 0:
            raise LimitReached("the render took too many steps")

    def spend_on(self, value: object) -> None:
        """Take the cost of processing a value once."""
        steps = STEPS_PER_VALUE
        if isinstance(value, str):
            steps += len(value) // CHARACTERS_PER_STEP
        elif isinstance(value, list):
            steps += len(cast("list[object]", value))
        self.spend(steps)


class ObjectView(Mapping[str, object]):
    """A JSON object as templates see it. Its text is empty."""

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
        """Return the value for comparisons, such as with `empty`."""
        return self if self._fields else {}

    # Comparing by content would let a template compare megabytes repeatedly.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectView) and other._fields is self._fields

    def __hash__(self) -> int:
        return id(self._fields)


class ListView(Sequence[object]):
    """A JSON array as templates see it. Its text is empty."""

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
        """Return the value for comparisons, such as with `empty`."""
        return self if self._items else []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListView) and other._items is self._items

    def __hash__(self) -> int:
        return id(self._items)


def sanitize(value: object, budget: RenderBudget) -> object:
    """Make a value from a payload or a filter safe to use."""
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
    """Return the length of a text, a list or an object, and 0 for anything else."""
    return len(cast("str", value)) if isinstance(value, str | list | ObjectView | ListView) else 0


def to_text(value: object) -> str:
    """Return the text of a value in output; empty for objects and arrays."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return ""


def is_bounded_number(number: float) -> bool:
    """Return whether templates may see a number: it must be finite and of bounded length."""
    if isinstance(number, int):
        return number.bit_length() <= MAX_INTEGER_BITS
    return math.isfinite(number)


def sensitive_label(wrapper: Mapping[str, object]) -> str:
    """Return the label shown in place of a sensitive value."""
    labels = wrapper.get("labels")
    names = cast("list[object]", labels) if isinstance(labels, list) else []
    shown = ", ".join(name for name in names[:_MAX_LABEL] if isinstance(name, str))
    return f"[{shown[:_MAX_LABEL] or 'sensitive'}]"
