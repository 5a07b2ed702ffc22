"""Adds messages that came after their span, as log records, to what was recorded of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from prefactor_otel.json_values import without_empty
from prefactor_otel.messages import (
    as_messages,
    input_events,
    output_events,
    text_of,
    tool_calls_of,
)

JsonObject: TypeAlias = dict[str, Any]
Events: TypeAlias = Sequence[tuple[str, JsonObject]]


def with_events(
    payload: JsonObject, result: JsonObject, before: Events, after: Events
) -> tuple[JsonObject, JsonObject]:
    """Return payload and result with the messages in the events `after`.

    Messages that the span itself had stay: those that are there are replaced only if they are what
    the events `before`, a part of `after`, have said.
    """
    asked, answered = _inputs(after), _outputs(after)
    if asked and payload.get("messages", []) == _inputs(before):
        payload = {**payload, "messages": asked}
    if answered and result.get("messages", []) == _outputs(before):
        first = answered[0]
        read = without_empty(
            text=text_of(first),
            tool_calls=tool_calls_of(first),
            messages=answered,
            finish_reason=result.get("finish_reason") or first.get("finish_reason"),
        )
        result = {**result, **read}
    return payload, result


def _inputs(events: Events) -> list[JsonObject]:
    return _details(events, "gen_ai.input.messages") or input_events([*events])


def _outputs(events: Events) -> list[JsonObject]:
    return _details(events, "gen_ai.output.messages") or output_events([*events])


def _details(events: Events, name: str) -> list[JsonObject]:
    found = (attributes[name] for _, attributes in events if name in attributes)
    return as_messages(next(found, None))
