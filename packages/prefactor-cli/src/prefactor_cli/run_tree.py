"""Spans as a tree: the pure part of showing a run.

Spans are a flat list in any order, with parents as reported by agents. A parent may be missing, and
spans may even be ancestors of each other. Every span is still shown exactly once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from prefactor_cli.text import counted, printable
from prefactor_cli.times import took

if TYPE_CHECKING:
    from prefactor_http import AgentInstance, AgentSpan


class Linked(Protocol):
    """The fields of a span that determine its position in the tree."""

    @property
    def id(self) -> Hashable:
        """Its id, to which its children refer."""

    @property
    def parent_span_id(self) -> Hashable | None:
        """The parent span, if any."""

    @property
    def started_at(self) -> datetime | None:
        """When it started. Siblings are shown in this order."""


S = TypeVar("S", bound=Linked)

GLYPHS = {"complete": "✓", "failed": "✗", "cancelled": "⊘", "active": "▶", "pending": "…"}


@dataclass(frozen=True)
class Row(Generic[S]):
    """A span in the tree. `more` says for each level whether another span follows on it."""

    span: S
    more: tuple[bool, ...]

    @property
    def branch(self) -> str:
        """The lines before the span's title."""
        return self.trunk(self.more[:-1]) + ("├─ " if self.more[-1] else "└─ ")

    @property
    def below(self) -> str:
        """The lines before further text about the span, below its title."""
        return self.trunk(self.more)

    @staticmethod
    def trunk(more: tuple[bool, ...]) -> str:
        """Return one column for each level."""
        return "".join("│  " if follows else "   " for follows in more)


def rows(spans: Sequence[S]) -> Iterator[Row[S]]:
    """Return each span once, below its parent and in order of start.

    A span whose parent is not in the list is a root. In a cycle of ancestors, the span that started
    first is a root.
    """
    order = sorted(range(len(spans)), key=lambda number: _began(spans[number], number))
    children = defaultdict[int | None, list[int]](list)
    for number, parent in _parents(spans, order).items():
        children[parent].append(number)
    # A stack rather than recursion: a chain of spans may exceed Python's recursion limit.
    waiting = _siblings(children[None], ())
    while waiting:
        number, more = waiting.pop()
        yield Row(spans[number], more)
        waiting += _siblings(children[number], more)


def render(instance: AgentInstance, spans: Sequence[AgentSpan], *, width: int = 100) -> list[str]:
    """Return a run as lines of text: its status, its counts, and its spans with their errors."""
    lines = [f"{_state(instance)}, {_counts(instance, spans)}"]
    for row in rows(spans):
        lines.append(_line(row, width))
        problem = error_of(row.span)
        if problem:
            lines.append(_clipped(f"{row.below}   ! {problem}", width))
    return lines


def error_of(span: AgentSpan) -> str | None:
    """Return the error in a span's result, or else in its payload."""
    for payload in (span.result_payload or {}, span.payload):
        error: Any = payload.get("error")
        if isinstance(error, dict):
            fields = cast("dict[str, Any]", error)
            kind, message = fields.get("error_type", "error"), fields.get("message", "")
            return printable(f"{kind}: {message}")
        if error:
            return printable(str(error))
    return None


def _began(span: Linked, number: int) -> tuple[bool, float, int]:
    """Return the sort key for the start: unstarted spans last, equal ones in their given order."""
    began = span.started_at
    return began is None, began.timestamp() if began else 0.0, number


def _parents(spans: Sequence[Linked], order: list[int]) -> dict[int, int | None]:
    """Return each span's parent, both as positions in the given list.

    The parents contain no cycle, so following them always ends at a root.
    """
    by_id = {span.id: number for number, span in reversed(list(enumerate(spans)))}
    parents = {number: by_id.get(spans[number].parent_span_id) for number in order}
    settled: set[int | None] = {None}
    for number in order:
        path: dict[int, None] = {}
        here: int | None = number
        while here is not None and here not in settled and here not in path:
            path[here] = None
            here = parents[here]
        if here is not None and here in path:
            # A cycle. Its spans are on the path, and `order` says which one started first.
            members = list(path)[list(path).index(here) :]
            first = min(members, key=lambda member: _began(spans[member], member))
            parents[first] = None
        settled |= path.keys()
    return parents


def _siblings(numbers: list[int], above: tuple[bool, ...]) -> list[tuple[int, tuple[bool, ...]]]:
    """Return the spans of one level, last one first, for a stack."""
    return [(number, (*above, place > 0)) for place, number in enumerate(reversed(numbers))]


def _state(instance: AgentInstance) -> str:
    duration = took(instance.started_at, instance.finished_at)
    return f"{instance.status} in {duration}" if duration else instance.status


def _counts(instance: AgentInstance, spans: Sequence[AgentSpan]) -> str:
    counts = instance.span_counts
    if counts is None:
        return counted(len(spans), "span")
    states = ("complete", "failed", "cancelled", "active", "pending")
    some = [f"{getattr(counts, state)} {state}" for state in states if getattr(counts, state)]
    return counted(counts.total, "span") + (f" ({', '.join(some)})" if some else "")


def _line(row: Row[AgentSpan], width: int) -> str:
    span = row.span
    title = printable(span.schema_title or span.schema_name)
    text = f"{row.branch}{GLYPHS.get(span.status, '?')} {title}"
    if span.summary:
        text += f"  {printable(span.summary)}"
    duration = took(span.started_at, span.finished_at) or span.status
    room = width - len(duration) - 2
    return f"{_clipped(text, room):<{room}}  {duration}"


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
