"""Events that arrived as log records, kept with the state of their trace until their span does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from prefactor_otel.late_events import with_events
from prefactor_server.otlp.received import ReceivedEvent, ReceivedSpan
from prefactor_server.otlp.trace_state import TraceState

MAX_EVENTS: Final = 500
MAX_EVENT_BYTES: Final = 512 * 1024
"""The most events of one trace that are remembered, and their bytes; the oldest are dropped."""

JsonObject: TypeAlias = dict[str, Any]
StoredEvent: TypeAlias = tuple[str, int, str, JsonObject]
"""The id of the span, the time, the name and the attributes."""


def events_of(state: TraceState, span_id: str) -> list[tuple[str, JsonObject]]:
    """Return the remembered events of a span, in the order of their times."""
    own = sorted((one for one in state.events if one[0] == span_id), key=lambda one: one[1])
    return [(name, attributes) for _, _, name, attributes in own]


def with_remembered(state: TraceState, span: ReceivedSpan) -> ReceivedSpan:
    """Return a span with the events that arrived before it."""
    found = events_of(state, span.span_id) if state.events else []
    return span._replace(events=[*span.events, *found]) if found else span


def add_events(state: TraceState, new: Iterable[ReceivedEvent]) -> TraceState:
    """Return the state with more events. A repeated event is kept once."""
    events: list[StoredEvent] = list(state.events)
    for one in new:
        stored = (one.span_id, one.at, one.name, one.attributes)
        if stored not in events:
            events.append(stored)
    events = events[-MAX_EVENTS:]
    left = MAX_EVENT_BYTES
    for place in range(len(events) - 1, -1, -1):
        left -= len(msgspec.json.encode(events[place]))
        if left < 0:
            events = events[place + 1 :]
            break
    return TraceState(state.awaited, state.waiting, events)


def amended(
    payload: JsonObject,
    result: JsonObject,
    before: Sequence[tuple[str, JsonObject]],
    after: Sequence[tuple[str, JsonObject]],
) -> tuple[JsonObject, JsonObject]:
    """Return what was recorded of a span, with the messages of events that arrived after it."""
    return with_events(payload, result, before, after)
