"""What LangChain hands to its callbacks, as plain JSON: pure functions."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import PromptValue
from pydantic import BaseModel

if TYPE_CHECKING:
    from uuid import UUID

MAX_DEPTH = 32
"""Levels of nesting that are kept of a value."""

ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
"""Message types that go by another name everywhere else."""

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
"""Settings of a model call that are recorded. A list of what may be taken, not of what may not:
clients put keys and headers of every name among them."""

_SECRET = re.compile(r"api_?key|secret|passw|authorization|credential|(^|_)token$", re.IGNORECASE)
_INTERNAL = ("langgraph_", "ls_", "lc_", "__", "checkpoint_")
_GRAPH_VALUES = ("Command", "Interrupt", "Send")


def plain(value: Any, depth: int = 0, above: frozenset[int] = frozenset()) -> Any:
    """A value of LangChain or of the host as JSON; what is not known here is left as it is."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, BaseMessage):
        return message(value)
    if depth > MAX_DEPTH or id(value) in above:
        return "..."
    above, depth = above | {id(value)}, depth + 1
    if isinstance(value, Mapping):
        members = cast("Any", value).items()
        return {str(key): plain(member, depth, above) for key, member in members}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(member, depth, above) for member in cast("Sequence[Any]", value)]
    return _object(value, depth, above)


def _object(value: Any, depth: int, above: frozenset[int]) -> Any:
    if isinstance(value, Document):
        return document(value)
    if isinstance(value, PromptValue):
        return [message(each) for each in value.to_messages()]
    return _of_class(value, value.__class__, depth, above)


def _of_class(value: Any, kind: type, depth: int, above: frozenset[int]) -> Any:
    if kind.__module__.startswith(("langgraph.", "langchain_core.")):
        # Stores, writers, whole configurations: nobody means to record what these hold.
        if kind.__name__ not in _GRAPH_VALUES:
            return f"<{kind.__qualname__}>"
        return {
            name: plain(member, depth, above)
            for name in ("goto", "update", "resume", "graph", "node", "arg", "value", "id")
            if (member := getattr(value, name, None)) not in (None, ())
        }
    if isinstance(value, BaseModel):
        try:
            return value.model_dump(mode="json", warnings=False)
        except Exception:  # noqa: BLE001 - serialisers of the host
            return f"<{kind.__qualname__}>"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name, None), depth, above) for name in fields}
    return value


def message(value: BaseMessage) -> dict[str, Any]:
    """A message: role, content, and what it says about tools."""
    # Not by getattr: asking a pydantic model for what it lacks takes longer than all the rest, and
    # each step of an agent tells all the messages so far.
    held = value.__dict__
    content = held["content"]
    told: dict[str, Any] = {
        "role": held.get("role") or _role(value.type),
        "content": content if type(content) is str else plain(content),
    }
    if name := held.get("name"):
        told["name"] = name
    if calls := held.get("tool_calls"):
        told["tool_calls"] = [tool_call(call) for call in calls]
    if broken := held.get("invalid_tool_calls"):
        told["invalid_tool_calls"] = [
            {**tool_call(call), "error": call.get("error")} for call in broken
        ]
    if answered := held.get("tool_call_id"):
        told["tool_call_id"] = answered
    if held.get("status") == "error":
        told["status"] = "error"
    return told


def _role(kind: str) -> str:
    known = ROLES.get(kind)
    if known is not None:
        return known
    kind = kind.removesuffix("MessageChunk").lower()
    return ROLES.get(kind, kind)


def tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """A tool call that a model asks for."""
    return {"id": call.get("id"), "name": call.get("name"), "arguments": plain(call.get("args"))}


def document(value: Document) -> dict[str, Any]:
    """A document that a retriever found."""
    told: dict[str, Any] = {"page_content": value.page_content}
    if value.metadata:
        told["metadata"] = plain(value.metadata)
    if identifier := getattr(value, "id", None):
        told["id"] = identifier
    return told


def step_name(serialized: Mapping[str, Any] | None, more: Mapping[str, Any], other: str) -> str:
    """What a step is called: by the run's name, the component's, or the class's."""
    known = serialized or {}
    for name in (more.get("name"), known.get("name")):
        if isinstance(name, str) and name:
            return name
    path = known.get("id")
    return str(cast("Any", path)[-1]) if isinstance(path, list) and path else other


def step_metadata(run_id: UUID, more: Mapping[str, Any]) -> dict[str, Any]:
    """Tags, the host's own metadata, and the node of a graph that a step belongs to."""
    known: Mapping[str, Any] = more.get("metadata") or {}
    told: dict[str, Any] = {}
    if node := known.get("langgraph_node"):
        told["node"] = node
        told["graph_step"] = known.get("langgraph_step")
    if tags := more.get("tags"):
        told["tags"] = list(tags)
    own = {
        key: plain(value)
        for key, value in known.items()
        if not key.startswith(_INTERNAL) and not _SECRET.search(key)
    }
    if own:
        told["metadata"] = own
    if more.get("parent_run_id") is None:  # what the call is found by in LangChain's own tools
        told["langchain_run_id"] = str(run_id)
    return told


def model_call(serialized: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Model, provider and settings of a call."""
    given: Mapping[str, Any] = more.get("invocation_params") or {}
    known: Mapping[str, Any] = more.get("metadata") or {}
    made: Mapping[str, Any] = (serialized or {}).get("kwargs") or {}
    names = (
        known.get("ls_model_name"),
        *(source.get(key) for source in (given, made) for key in ("model", "model_name")),
        given.get("model_id"),
    )
    told: dict[str, Any] = {}
    if model := next((name for name in names if isinstance(name, str) and name), None):
        told["model"] = model
    if provider := known.get("ls_provider"):
        told["provider"] = provider
    parameters = {
        key: plain(given[key]) for key in PARAMETERS if given.get(key) not in (None, [], ())
    }
    if parameters:
        told["parameters"] = parameters
    return told
