"""Reads messages from attributes and events of OpenTelemetry spans, in all common forms.

Successive versions of the semantic conventions have put them into span events, indexed attributes
and JSON. OpenInference has its own indexed attributes. The result is always a list of objects with
`role` and `content` (or `parts`, in the newest form).
"""

from __future__ import annotations

from typing import Any, cast

from prefactor_otel.json_values import items, members, parse_arguments, without_none

JsonObject = dict[str, Any]
_PROMPT_EVENT = "gen_ai.content.prompt"
_COMPLETION_EVENT = "gen_ai.content.completion"
_CHOICE_EVENT = "gen_ai.choice"
_MESSAGE_EVENTS = {
    f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")
}


def nested(attributes: JsonObject, prefix: str) -> Any:
    """Return attributes such as `prefix.0.role` as one nested value, or None without any."""
    tree: JsonObject = {}
    for name, value in attributes.items():
        if name.startswith(f"{prefix}."):
            _put(tree, name[len(prefix) + 1 :].split("."), value)
    return _with_lists(tree) if tree else None


def _put(tree: JsonObject, path: list[str], value: Any) -> None:
    node = tree
    for name in path[:-1]:
        branch = node.setdefault(name, {})
        if not isinstance(branch, dict):
            return  # a leaf has that name
        node = cast("JsonObject", branch)
    node[path[-1]] = value


def _with_lists(tree: Any) -> Any:
    """Convert objects whose names are all numbers to lists."""
    if not isinstance(tree, dict):
        return tree
    branches = {name: _with_lists(branch) for name, branch in members(tree).items()}
    if all(name.isdecimal() for name in branches):
        return [branch for _, branch in sorted(branches.items(), key=lambda each: int(each[0]))]
    return branches


def openinference_messages(found: Any) -> list[JsonObject]:
    """Convert messages in the nested form of OpenInference."""
    return [_openinference_message(members(item.get("message"))) for item in items(found)]


def _openinference_message(message: JsonObject) -> JsonObject:
    contents = [members(part.get("message_content")) for part in items(message.pop("contents", 0))]
    calls = [members(call.get("tool_call")) for call in items(message.pop("tool_calls", 0))]
    if contents and "content" not in message:
        message["content"] = contents
    if calls:
        message["tool_calls"] = [
            without_none(
                id=call.get("id"),
                name=members(call.get("function")).get("name"),
                arguments=parse_arguments(members(call.get("function")).get("arguments")),
            )
            for call in calls
        ]
    return message


def input_events(events: list[tuple[str, JsonObject]]) -> list[JsonObject]:
    """Return the input messages in span events."""
    found: list[JsonObject] = []
    for name, attributes in events:
        if name == _PROMPT_EVENT:
            found += as_messages(attributes.get("gen_ai.prompt"))
        elif name in _MESSAGE_EVENTS:
            found.append({"role": _MESSAGE_EVENTS[name], **_event_message(attributes)})
    return found


def output_events(events: list[tuple[str, JsonObject]]) -> list[JsonObject]:
    """Return the output messages in span events."""
    found: list[JsonObject] = []
    for name, attributes in events:
        if name == _COMPLETION_EVENT:
            found += as_messages(attributes.get("gen_ai.completion"))
        elif name == _CHOICE_EVENT:
            choice = _event_message(attributes)
            message = members(parse_arguments(choice.pop("message", None)))
            found.append({"role": "assistant", **choice, **message})
    return found


def _event_message(attributes: JsonObject) -> JsonObject:
    """Return an event's attributes as a message, without those about the emitter."""
    return {
        name: parse_arguments(value) if name in {"tool_calls", "body"} else value
        for name, value in attributes.items()
        if not name.startswith("gen_ai.")
    }


def as_messages(value: Any) -> list[JsonObject]:
    """Return messages from JSON, from a list, or from a single text."""
    if value is None:
        return []
    decoded = parse_arguments(value)
    if isinstance(decoded, list):
        return [members(each) or {"content": each} for each in cast("Any", decoded)]
    if isinstance(decoded, dict):
        return [members(decoded)]
    return [] if decoded is None else [{"content": decoded}]


def text_of(message: JsonObject) -> str:
    """Return the text of a message, from its content or its text parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = items(message.get("parts")) + items(content)
    return "".join(
        text
        for part in parts
        if part.get("type") in {"text", "output_text", None}
        and isinstance(text := part.get("content", part.get("text")), str)
    )


def tool_calls_of(message: JsonObject) -> list[JsonObject]:
    """Return the tool calls of a message."""
    calls = items(parse_arguments(message.get("tool_calls")))
    calls += [part for part in items(message.get("parts")) if part.get("type") == "tool_call"]
    return [
        without_none(
            id=call.get("id"),
            name=call.get("name") or members(call.get("function")).get("name"),
            arguments=parse_arguments(
                call.get("arguments", members(call.get("function")).get("arguments"))
            ),
        )
        for call in calls
    ]
