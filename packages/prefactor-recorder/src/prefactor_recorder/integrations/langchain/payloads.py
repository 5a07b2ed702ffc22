"""Converts arguments of LangChain's callbacks to plain JSON. Pure functions."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import PromptValue
from pydantic import BaseModel

from prefactor_recorder.guard import not_interrupts
from prefactor_recorder.integrations._common.payloads import OMITTED, Walk

if TYPE_CHECKING:
    from uuid import UUID

ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
"""The usual roles of LangChain's message types."""

PARAMETERS = (
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "top_p",
    "top_k",
    "n",
    "seed",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
    "tools",
)
"""Recorded settings of a model call. An allow list, because clients put keys and headers of any
name among them."""

_SECRET = re.compile(r"api_?key|secret|passw|authorization|credential|(^|_)token$", re.IGNORECASE)
_INTERNAL = ("langgraph_", "ls_", "lc_", "__", "checkpoint_")
_GRAPH_VALUES = ("Command", "Interrupt", "Send")


def plain(value: Any, walk: Walk | None = None) -> Any:
    """Convert a value of LangChain or of the host to JSON. Leave unknown values as they are."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    walk = walk or Walk()
    if not walk.enter(value):
        return OMITTED
    try:
        return _converted(value, walk)
    finally:
        walk.leave(value)


def _converted(value: Any, walk: Walk) -> Any:
    if isinstance(value, BaseMessage):
        return message(value, walk)
    if isinstance(value, Mapping):
        members = cast("Any", value).items()
        return {str(key): plain(member, walk) for key, member in members}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(member, walk) for member in cast("Sequence[Any]", value)]
    if isinstance(value, Document):
        return document(value, walk)
    if isinstance(value, PromptValue):
        return [message(each, walk) for each in value.to_messages()]
    return _of_class(value, value.__class__, walk)


def _of_class(value: Any, kind: type, walk: Walk) -> Any:
    if kind.__module__.startswith(("langgraph.", "langchain_core.")):
        # Nobody intends to record the content of stores, writers or configurations.
        if kind.__name__ not in _GRAPH_VALUES:
            return f"<{kind.__qualname__}>"
        return {
            name: plain(member, walk)
            for name in ("goto", "update", "resume", "graph", "node", "arg", "value", "id")
            if (member := getattr(value, name, None)) not in (None, ())
        }
    if isinstance(value, BaseModel):
        try:
            return value.model_dump(mode="json", warnings=False)
        except not_interrupts():  # serializers of the host
            return f"<{kind.__qualname__}>"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name, None), walk) for name in fields}
    return value


def message(value: BaseMessage, walk: Walk | None = None) -> dict[str, Any]:
    """Convert a message: its role, content, and tool calls or tool result."""
    # Not with `getattr`, which is slow for fields that a pydantic model lacks. Each step of an
    # agent converts all messages so far.
    fields = value.__dict__
    content = fields["content"]
    converted: dict[str, Any] = {
        "role": fields.get("role") or _role(value.type),
        "content": content if type(content) is str else plain(content, walk),
    }
    if name := fields.get("name"):
        converted["name"] = name
    if calls := fields.get("tool_calls"):
        converted["tool_calls"] = [tool_call(call, walk) for call in calls]
    if invalid := fields.get("invalid_tool_calls"):
        converted["invalid_tool_calls"] = [
            {**tool_call(call, walk), "error": call.get("error")} for call in invalid
        ]
    if call_id := fields.get("tool_call_id"):
        converted["tool_call_id"] = call_id
    if fields.get("status") == "error":
        converted["status"] = "error"
    return converted


def _role(kind: str) -> str:
    known = ROLES.get(kind)
    if known is not None:
        return known
    kind = kind.removesuffix("MessageChunk").lower()
    return ROLES.get(kind, kind)


def tool_call(call: Mapping[str, Any], walk: Walk | None = None) -> dict[str, Any]:
    """Convert a tool call."""
    arguments = plain(call.get("args"), walk)
    return {"id": call.get("id"), "name": call.get("name"), "arguments": arguments}


def document(value: Document, walk: Walk | None = None) -> dict[str, Any]:
    """Convert a document."""
    converted: dict[str, Any] = {"page_content": value.page_content}
    if value.metadata:
        converted["metadata"] = plain(value.metadata, walk)
    if identifier := getattr(value, "id", None):
        converted["id"] = identifier
    return converted


def step_name(serialized: Mapping[str, Any] | None, more: Mapping[str, Any], default: str) -> str:
    """Return the name of a step: the run's, the component's, or the class's."""
    component = serialized or {}
    for name in (more.get("name"), component.get("name")):
        if isinstance(name, str) and name:
            return name
    path = component.get("id")
    return str(cast("Any", path)[-1]) if isinstance(path, list) and path else default


def step_metadata(run_id: UUID, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags, the host's metadata, and the graph node of a step."""
    metadata: Mapping[str, Any] = more.get("metadata") or {}
    found: dict[str, Any] = {}
    if node := metadata.get("langgraph_node"):
        found["node"] = node
        found["graph_step"] = metadata.get("langgraph_step")
    if tags := more.get("tags"):
        found["tags"] = list(tags)
    of_host = {
        key: plain(value)
        for key, value in metadata.items()
        if not key.startswith(_INTERNAL) and not _SECRET.search(key)
    }
    if of_host:
        found["metadata"] = of_host
    if more.get("parent_run_id") is None:  # to find the call in LangChain's own tools
        found["langchain_run_id"] = str(run_id)
    return found


def model_call(serialized: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model, provider and settings of a call."""
    params: Mapping[str, Any] = more.get("invocation_params") or {}
    metadata: Mapping[str, Any] = more.get("metadata") or {}
    init_kwargs: Mapping[str, Any] = (serialized or {}).get("kwargs") or {}
    names = (
        metadata.get("ls_model_name"),
        *(source.get(key) for source in (params, init_kwargs) for key in ("model", "model_name")),
        params.get("model_id"),
    )
    found: dict[str, Any] = {}
    if model := next((name for name in names if isinstance(name, str) and name), None):
        found["model"] = model
    if provider := metadata.get("ls_provider"):
        found["provider"] = provider
    parameters = {
        key: plain(params[key]) for key in PARAMETERS if params.get(key) not in (None, [], ())
    }
    if parameters:
        found["parameters"] = parameters
    return found
