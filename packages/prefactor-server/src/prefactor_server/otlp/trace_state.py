"""Decides which spans of a trace are kept, based on the spans that have arrived.

A span about a model, a tool or an agent is kept. Any other span is kept if it has a kept ancestor
and a kept descendant, and waits until both are known. The state of a trace consists of the waiting
spans and the missing parents of kept spans. The order of the spans and their division into batches
make no difference, as long as the limits on waiting spans are not exceeded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from prefactor_server.otlp.mapping import is_about_agents
from prefactor_server.otlp.received import ReceivedSpan

MAX_WAITING: Final = 64
"""How many spans without a kept descendant wait. The oldest is dropped first."""
MAX_BETWEEN: Final = 512
"""How many spans with a kept descendant wait for a kept ancestor."""
MAX_AWAITED: Final = 2_000
"""How many missing parents of kept spans are remembered."""
MAX_WAITING_BYTES: Final = 64 * 1024
"""The largest span that waits, in bytes as JSON."""


class TraceState(msgspec.Struct, array_like=True):
    """The state of a trace between its batches."""

    awaited: list[str] = []
    waiting: list[ReceivedSpan] = []
    events: list[tuple[str, int, str, dict[str, Any]]] = []

    @property
    def is_empty(self) -> bool:
        """Whether the state has no content."""
        return not (self.awaited or self.waiting or self.events)


class Sorted(NamedTuple):
    """The spans to keep now, the new state, and how many of the new spans are not kept."""

    kept: Sequence[ReceivedSpan]
    state: TraceState
    left_out: int


def read_state(document: bytes) -> TraceState:
    """Read the state of a trace as it is stored."""
    return msgspec.json.decode(document, type=TraceState) if document else TraceState()


def write_state(state: TraceState) -> bytes:
    """Return the state of a trace as it is stored."""
    return b"" if state.is_empty else msgspec.json.encode(state)


def parents_to_look_up(state: TraceState, spans: Iterable[ReceivedSpan]) -> set[str]:
    """Return the parents for which the decision depends on whether they are stored."""
    spans = list(spans)
    others = [span for span in spans if not is_about_agents(span)]
    if not others and not state.waiting:
        return set()
    waiting = {span.span_id: span for span in (*state.waiting, *others)}
    here = {span.span_id for span in spans}
    return {
        span.parent_id
        for span in waiting.values()
        if span.parent_id and span.parent_id not in waiting and span.parent_id not in here
    }


def sort_spans(
    state: TraceState,
    spans: Sequence[ReceivedSpan],
    is_stored: Callable[[str], bool],
    *,
    keep_all: bool = False,
) -> Sorted:
    """Sort the spans of a batch into those that are kept and those that wait.

    Args:
        state: the state of the trace.
        spans: the spans of the batch, in any order.
        is_stored: returns whether an earlier batch had a kept span with an id.
        keep_all: whether every span is kept.
    """
    if keep_all:
        return Sorted(spans, state, 0)
    kept = [span for span in spans if is_about_agents(span)]
    if len(kept) == len(spans) and not state.waiting:
        return Sorted(kept, _awaiting(state, kept, []), 0)
    here = {span.span_id for span in kept}
    new = {span.span_id for span in spans} - here
    waiting = {span.span_id: span for span in state.waiting}
    waiting |= {span.span_id: span for span in spans if span.span_id in new}
    below = _with_kept_below(waiting, {*state.awaited, *(span.parent_id for span in kept)})
    promoted = {span_id for span_id in below if _has_kept_above(waiting, span_id, here, is_stored)}
    kept += [waiting[span_id] for span_id in waiting if span_id in promoted]
    rest = [span for span_id, span in waiting.items() if span_id not in promoted]
    left = _bounded(rest, below)
    return Sorted(kept, _awaiting(state, kept, left), len(new - promoted))


def _with_kept_below(waiting: dict[str, ReceivedSpan], named: Collection[str | None]) -> set[str]:
    """Return the waiting spans that have a kept descendant."""
    below: set[str] = set()
    for start in named:
        span_id = start
        while span_id is not None and span_id in waiting and span_id not in below:
            below.add(span_id)
            span_id = waiting[span_id].parent_id
    return below


def _has_kept_above(
    waiting: dict[str, ReceivedSpan],
    span_id: str,
    here: Collection[str],
    is_stored: Callable[[str], bool],
) -> bool:
    seen: set[str] = set()
    above = waiting[span_id].parent_id
    while above is not None and above not in seen:
        if above in here or is_stored(above):
            return True
        seen.add(above)
        span = waiting.get(above)
        above = None if span is None else span.parent_id
    return False


def _bounded(rest: Sequence[ReceivedSpan], below: Collection[str]) -> list[ReceivedSpan]:
    small = [span for span in rest if _size(span) <= MAX_WAITING_BYTES]
    between = [span for span in small if span.span_id in below][-MAX_BETWEEN:]
    others = [span for span in small if span.span_id not in below][-MAX_WAITING:]
    return [*others, *between]


def _size(span: ReceivedSpan) -> int:
    return len(msgspec.json.encode(span))


def _awaiting(
    state: TraceState, kept: Sequence[ReceivedSpan], waiting: list[ReceivedSpan]
) -> TraceState:
    here = {span.span_id for span in kept}
    named = dict.fromkeys([*state.awaited, *(span.parent_id or "" for span in kept)])
    awaited = [parent for parent in named if parent and parent not in here]
    return TraceState(awaited[-MAX_AWAITED:], waiting, state.events)
