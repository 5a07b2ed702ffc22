"""Renders simple templates without the template library.

Most summaries are like `{{ model }}: {{ prompt | truncate: 80 }}`, and every span has one. The
library builds a context for each, which takes ten times as long as rendering the text. Whether a
template is simple is decided once, when it is parsed. A simple template renders to the same text as
with the library. Where the two could differ (lists in filters, `size`, reachable limits), the
template does not count as simple, or the render falls back to the library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast

from liquid import BoundTemplate
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import IntegerLiteral, StringLiteral
from liquid.builtin.output import OutputNode

from prefactor_server.validation.liquid.filters import default
from prefactor_server.validation.liquid.sandbox import (
    CHARACTERS_PER_STEP,
    MAX_TEXT,
    STEPS_PER_VALUE,
    is_bounded_number,
    sensitive_label,
    to_text,
)
from prefactor_server.validation.liquid.text_filters import (
    PLAIN_TEXT_FILTERS,
    STEPS_PER_CHARACTER,
    TEXT_FILTERS,
    to_integer,
    truncate,
)

Payloads: TypeAlias = Sequence[Mapping[str, object]]
Piece: TypeAlias = Callable[[Payloads], str]
Step: TypeAlias = Callable[[object, Payloads], object]

# Each filter with its maximum number of arguments. These must be literals in the template, except
# that the argument of `default` may be a path.
_FILTERS: Final[Mapping[str, tuple[Callable[..., object], int]]] = {
    "truncate": (truncate, 2),
    "default": (default, 1),
    **{
        name: (TEXT_FILTERS[name], 0)
        for name in PLAIN_TEXT_FILTERS
        if name not in STEPS_PER_CHARACTER
    },
}
# Special names at the end of a path.
_SPECIAL: Final = frozenset({"size", "first", "last"})
_STEPS_PER_VALUE: Final = STEPS_PER_VALUE + MAX_TEXT // CHARACTERS_PER_STEP

_SPEEDUP: Final = 10
"""How much cheaper this path is than the library, whose estimates allow for long texts."""


class NeedsLibrary(Exception):
    """The payload has a value that only the template library can render."""


class FastTemplate:
    """A template as a list of texts and lookups."""

    __slots__ = ("_pieces", "steps")

    def __init__(self, pieces: Sequence[Piece], steps: int) -> None:
        self._pieces = pieces
        self.steps = steps
        """The cost of a render with typical payloads; see `budget`."""

    def text(self, payloads: Payloads, limit: int) -> str:
        """Return the text, or at least its first ``limit`` characters.

        The payloads are searched for a name in order.

        Raises:
            NeedsLibrary: this render needs the library.
        """
        visible = [payload for payload in payloads if "$sensitive" not in payload]
        texts: list[str] = []
        for piece in self._pieces:
            text = piece(visible)
            texts.append(text)
            limit -= len(text)
            if limit < 0:
                break
        return "".join(texts)


def fast_template(parsed: BoundTemplate, budget: int) -> FastTemplate | None:
    """Convert a parsed template, or return None if it is not simple.

    Args:
        parsed: the library's form of the template.
        budget: the steps that the library's render may take. A template that could take more is not
            converted, so that this path needs no counting.
    """
    pieces: list[Piece] = []
    steps = 0
    for node in parsed.nodes:
        if type(node) is ContentNode:
            pieces.append(_constant(node.text))
            continue
        found = _output(node)
        if found is None:
            return None
        piece, cost = found
        pieces.append(piece)
        steps += cost
    return FastTemplate(pieces, 2 + steps // _SPEEDUP) if steps <= budget else None


def _output(node: Node) -> tuple[Piece, int] | None:
    """Return a renderer for an output, and the most steps that the library would take for it."""
    expression = node.expression if isinstance(node, OutputNode) else None
    if type(expression) is not FilteredExpression:
        return None
    names = _names(expression.left)
    if names is None:
        return None
    values = len(names) + 1
    steps: list[Step] = []
    for used in expression.filters or ():
        step = _step(used)
        if step is None:
            return None
        steps.append(step)
        values += 2 + sum(map(_values, used.args))
    find = _finder(names)
    return _filtered(find, steps) if steps else _unfiltered(find), values * _STEPS_PER_VALUE


def _names(expression: object) -> list[str] | None:
    """Return the names of a path, or None for any other expression."""
    if type(expression) is not Path:
        return None
    names = [name for name in expression.path if isinstance(name, str)]
    plain = len(names) == len(expression.path) and _SPECIAL.isdisjoint(names[1:])
    return names if plain else None


def _values(argument: object) -> int:
    """Return the number of values that the library looks up for an argument."""
    names = _names(argument.value) if type(argument) is PositionalArgument else None
    return 1 if names is None else len(names) + 1


def _step(used: Filter) -> Step | None:
    """Return a filter bound to its arguments, or None if they are not all literals."""
    function, max_arguments = _FILTERS.get(used.name, (None, 0))
    if function is None or len(used.args) > max_arguments:
        return None
    if function is default and used.args and type(used.args[0]) is PositionalArgument:
        names = _names(used.args[0].value)
        if names is not None:
            return _default_of(_finder(names))
    arguments: list[str | int] = []
    for argument in used.args:
        value = argument.value if type(argument) is PositionalArgument else None
        if type(value) is StringLiteral:
            arguments.append(value.value[:MAX_TEXT])
        elif type(value) is IntegerLiteral and is_bounded_number(value.value):
            arguments.append(value.value)
        else:
            return None
    if function is truncate:
        return _truncation(*arguments)
    if arguments:
        return lambda value, _: function(value, *arguments)
    return lambda value, _: function(value)


def _default_of(find: Callable[[Payloads], object]) -> Step:
    """Return the filter `default` whose argument is a path."""

    def step(value: object, payloads: Payloads) -> object:
        other = _sanitized(find(payloads))
        if isinstance(other, list | dict):
            raise NeedsLibrary
        return default(value, other)

    return step


def _truncation(length: str | int = 50, end: str | int = "...") -> Step | None:
    if isinstance(length, str):
        return None
    size, tail = to_integer(length), to_text(end)
    length_before_tail = max(size - len(tail), 0)

    def cut(value: object, _: Payloads) -> str:
        text = to_text(value)
        return text if len(text) <= size else text[:length_before_tail] + tail

    return cut


def _constant(text: str) -> Piece:
    return lambda _: text


def _unfiltered(find: Callable[[Payloads], object]) -> Piece:
    def show(payloads: Payloads) -> str:
        value = find(payloads)
        return value[:MAX_TEXT] if type(value) is str else to_text(_sanitized(value))

    return show


def _filtered(find: Callable[[Payloads], object], steps: Sequence[Step]) -> Piece:
    def show(payloads: Payloads) -> str:
        value = _sanitized(find(payloads))
        # The library's filters count and compare views of lists and objects.
        if isinstance(value, list | dict):
            raise NeedsLibrary
        for step in steps:
            value = step(value, payloads)
            if type(value) is str and len(value) > MAX_TEXT:
                raise NeedsLibrary
        return to_text(value)

    return show


def _finder(names: Sequence[str]) -> Callable[[Payloads], object]:
    """Return a function that looks up a path, and returns None for a missing value."""
    first, rest = names[0], tuple(names[1:])

    def top(payloads: Payloads) -> object:
        for payload in payloads:
            if first in payload:
                return payload[first]
        return None

    def find(payloads: Payloads) -> object:
        value = top(payloads)
        for name in rest:
            if not isinstance(value, dict) or "$sensitive" in value:
                return None
            value = cast("dict[str, object]", value).get(name)
        return value

    return find if rest else top


def _sanitized(value: object) -> object:
    """Make a value safe to show. Lists and objects stay, but have no text."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if is_bounded_number(value) else None
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return sensitive_label(fields) if "$sensitive" in fields else fields
    return value
