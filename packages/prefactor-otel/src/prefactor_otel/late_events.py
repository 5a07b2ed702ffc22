"""Adds messages that arrived after their span, as log records, to its payload and result."""

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

    Messages from the span itself are kept. Existing messages are replaced only if they are those of
    the events `before`, which are a part of `after`.
    """
    inputs, outputs = _inputs(after), _outputs(after)
    if inputs and payload.get("messages", []) == _inputs(before):
        payload = {**payload, "messages": inputs}
    if outputs and result.get("messages", []) == _outputs(before):
        first = outputs[0]
        members = without_empty(
            text=text_of(first),
            tool_calls=tool_calls_of(first),
            messages=outputs,
            finish_reason=result.get("finish_reason") or first.get("finish_reason"),
        )
        result = {**result, **members}
    return payload, result


def _inputs(events: Events) -> list[JsonObject]:
    return _details(events, "gen_ai.input.messages") or input_events([*events])


def _outputs(events: Events) -> list[JsonObject]:
    return _details(events, "gen_ai.output.messages") or output_events([*events])


def _details(events: Events, name: str) -> list[JsonObject]:
    found = (attributes[name] for _, attributes in events if name in attributes)
    return as_messages(next(found, None))
