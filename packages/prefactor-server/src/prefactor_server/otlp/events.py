"""Events that arrived as log records, kept in the state of their trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

EventsBySpan: TypeAlias = Mapping[str, Sequence[tuple[str, JsonObject]]]
"""Names and attributes by the id of the span."""

_encoder: Final = msgspec.json.Encoder(order="deterministic")


def events_by_span(state: TraceState) -> EventsBySpan:
    """Return the kept events by the id of their span, ordered by time."""
    found: dict[str, list[tuple[str, JsonObject]]] = {}
    for span_id, _, name, attributes in sorted(state.events, key=lambda one: one[1]):
        found.setdefault(span_id, []).append((name, attributes))
    return found


def with_remembered(remembered: EventsBySpan, span: ReceivedSpan) -> ReceivedSpan:
    """Return a span with the events that arrived before it."""
    found = remembered.get(span.span_id)
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
