"""Events that arrived as log records, kept in the state of their trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from prefactor_otel.late_events import with_events
from prefactor_server.otlp.received import ReceivedEvent, ReceivedSpan
from prefactor_server.otlp.trace_state import TraceState

MAX_EVENTS: Final = 500
MAX_EVENT_BYTES: Final = 512 * 1024
"""How many events of one trace are kept, and how many bytes of them. The oldest are dropped."""

JsonObject: TypeAlias = dict[str, Any]
StoredEvent: TypeAlias = tuple[str, int, str, JsonObject]
"""The id of the span, the time, the name and the attributes."""

_encoder: Final = msgspec.json.Encoder(order="deterministic")


def events_of(state: TraceState, span_id: str) -> list[tuple[str, JsonObject]]:
    """Return the kept events of a span, ordered by time."""
    own = sorted((one for one in state.events if one[0] == span_id), key=lambda one: one[1])
    return [(name, attributes) for _, _, name, attributes in own]


def with_remembered(state: TraceState, span: ReceivedSpan) -> ReceivedSpan:
    """Return a span with the events that arrived before it."""
    found = events_of(state, span.span_id) if state.events else []
    return span._replace(events=[*span.events, *found]) if found else span


def add_events(state: TraceState, new: Iterable[ReceivedEvent]) -> TraceState:
    """Return the state with more events. A repeated event is kept once."""
    events: dict[bytes, StoredEvent] = {_encoder.encode(one): one for one in state.events}
    for one in new:
        stored = (one.span_id, one.at, one.name, one.attributes)
        events.setdefault(_encoder.encode(stored), stored)
    newest: list[StoredEvent] = []
    size = 0
    for document in reversed(events):
        size += len(document)
        if len(newest) == MAX_EVENTS or size > MAX_EVENT_BYTES:
            break
        newest.append(events[document])
    return TraceState(state.awaited, state.waiting, newest[::-1])


def amended(
    payload: JsonObject,
    result: JsonObject,
    before: Sequence[tuple[str, JsonObject]],
    after: Sequence[tuple[str, JsonObject]],
) -> tuple[JsonObject, JsonObject]:
    """Return a span's payload and result with the messages of events that arrived after it."""
    return with_events(payload, result, before, after)
