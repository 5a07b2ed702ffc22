"""The skeleton of a run: all its spans in tree order, as columns.

Parents precede their children, and siblings are ordered by start. Every span occurs once, even if
clients sent inconsistent parents: a span whose parent is not in the run is a root, and so is the
earliest span of a cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.runs.agent_span import (
    CLOSED_BY_TERMINATION,
    FINISHED_BEFORE_STARTED,
    FINISHED_LATE,
    SENSITIVE_DISCARDED,
    SENSITIVE_ENCODING,
    UNREGISTERED_TYPE,
    SpanStatus,
)
from prefactor_server.domain.runs.cost import NO_PRICES, PriceTable, SpanPricer
from prefactor_server.domain.runs.span_kind import Kind, span_kind

# Added to the flags of a span when they are read. It is never stored.
PARENT_MISSING: Final = 16
FLAG_NAMES: Final = {
    "closed_by_termination": CLOSED_BY_TERMINATION,
    "schema_unregistered": UNREGISTERED_TYPE,
    "finished_before_started": FINISHED_BEFORE_STARTED,
    "sensitive_encoding": SENSITIVE_ENCODING,
    "parent_missing": PARENT_MISSING,
    "sensitive_discarded": SENSITIVE_DISCARDED,
    "finished_late": FINISHED_LATE,
}


class SpanOutline(NamedTuple):
    """The columns of a span that its run's skeleton needs."""

    id: str
    parent_span_id: str | None
    schema_name: str
    schema_title: str | None
    status: SpanStatus
    started_at: int | None
    finished_at: int | None
    summary: str | None
    flags: int
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    model: str | None = None
    tool_name: str | None = None


class Columns(NamedTuple):
    """The spans as columns, with one entry per span in each.

    ``parent`` is the index of the parent in these columns, and ``schema``, ``tool_name`` and
    ``model`` are indices into the skeleton's lists. ``started_at`` is relative to the origin, and
    all times are in microseconds.
    """

    id: Sequence[str]
    parent: Sequence[int | None]
    schema: Sequence[int]
    status: Sequence[SpanStatus]
    started_at: Sequence[int | None]
    duration: Sequence[int | None]
    summary: Sequence[str | None]
    flags: Sequence[int]
    kind: Sequence[Kind]
    tool_name: Sequence[int | None]
    model: Sequence[int | None]
    total_tokens: Sequence[int | None]
    cost: Sequence[float | None]


class Skeleton(NamedTuple):
    """The columns, the lists that they refer to, and the origin of their times."""

    origin: int | None
    schemas: Sequence[tuple[str, str | None]]
    columns: Columns
    tool_names: Sequence[str] = ()
    models: Sequence[str] = ()


def build_skeleton(
    outlines: Iterable[SpanOutline], run_started_at: int | None, prices: PriceTable = NO_PRICES
) -> Skeleton:
    """Return the skeleton of a run. Its origin is the start of the run or the earliest span."""
    spans = sorted(outlines, key=_sort_key)
    tree = _tree(spans)
    order = [spans[number] for number, _ in tree]
    position_of = {number: position for position, (number, _) in enumerate(tree)}
    parents = [None if parent is None else position_of[parent] for _, parent in tree]
    starts = [span.started_at for span in spans[:1]] + [run_started_at]
    origin = min((at for at in starts if at is not None), default=None)
    types = dict.fromkeys((span.schema_name, span.schema_title) for span in order)
    numbers = {one: number for number, one in enumerate(types)}
    tool_names = _numbered(span.tool_name for span in order)
    models = _numbered(span.model for span in order)
    pricer = SpanPricer(prices)
    columns = Columns(
        id=[span.id for span in order],
        parent=parents,
        schema=[numbers[span.schema_name, span.schema_title] for span in order],
        status=[span.status for span in order],
        started_at=[_elapsed(origin, span.started_at) for span in order],
        duration=[_elapsed(span.started_at, span.finished_at) for span in order],
        summary=[span.summary for span in order],
        flags=[
            span.flags | (PARENT_MISSING if parent is None and span.parent_span_id else 0)
            for span, parent in zip(order, parents, strict=True)
        ],
        kind=_kinds(order),
        tool_name=[tool_names.get(span.tool_name) for span in order],
        model=[models.get(span.model) for span in order],
        total_tokens=[span.total_tokens for span in order],
        cost=[
            pricer.cost(span.model, span.prompt_tokens, span.completion_tokens) for span in order
        ],
    )
    return Skeleton(origin, list(types), columns, _texts(tool_names), _texts(models))


def _kinds(spans: Iterable[SpanOutline]) -> list[Kind]:
    # Computed once per type, because a run has few types.
    known: dict[tuple[str, bool, bool], Kind] = {}
    kinds: list[Kind] = []
    for span in spans:
        key = (span.schema_name, span.model is not None, span.tool_name is not None)
        kind = known.get(key)
        if kind is None:
            name, has_model, has_tool = key
            kind = known[key] = span_kind(name, has_model=has_model, has_tool=has_tool)
        kinds.append(kind)
    return kinds


def _numbered(texts: Iterable[str | None]) -> dict[str | None, int]:
    """Number the distinct texts in order of first occurrence."""
    found = dict.fromkeys(texts)
    found.pop(None, None)
    return {text: number for number, text in enumerate(found)}


def _texts(numbered: Mapping[str | None, int]) -> list[str]:
    return [text for text in numbered if text is not None]


def _sort_key(span: SpanOutline) -> tuple[bool, int, str]:
    return span.started_at is None, span.started_at or 0, span.id


def _elapsed(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else end - start


def _tree(spans: Sequence[SpanOutline]) -> list[tuple[int, int | None]]:
    """Return the spans depth first, as pairs of a span's index and its parent's index."""
    number_of = {span.id: number for number, span in enumerate(spans)}
    parents = [number_of.get(span.parent_span_id or "") for span in spans]
    children: list[list[int]] = [[] for _ in spans]
    for number, parent in enumerate(parents):
        if parent is not None:
            children[parent].append(number)
    roots = [number for number, parent in enumerate(parents) if parent is None]
    roots = sorted([*roots, *_cycle_roots(parents)])
    root_set = frozenset(roots)
    found: list[tuple[int, int | None]] = []
    # Iterative, because a chain of spans may be longer than the interpreter's stack.
    stack: list[tuple[int, int | None]] = [(root, None) for root in reversed(roots)]
    while stack:
        found.append(stack.pop())
        number = found[-1][0]
        stack.extend(
            (child, number) for child in reversed(children[number]) if child not in root_set
        )
    return found


def _cycle_roots(parents: Sequence[int | None]) -> Iterator[int]:
    """Yield the earliest span of each cycle of parents."""
    walk_of = [-1] * len(parents)
    for start in range(len(parents)):
        number: int | None = start
        while number is not None and walk_of[number] < 0:
            walk_of[number] = start
            number = parents[number]
        if number is not None and walk_of[number] == start:
            yield min(_cycle(parents, number))


def _cycle(parents: Sequence[int | None], first: int) -> Iterator[int]:
    yield first
    number = parents[first]
    while number is not None and number != first:
        yield number
        number = parents[number]
