"""Merges streamed responses of the OpenAI API into the form of those that are not streamed."""

from __future__ import annotations

from typing import Any

from prefactor_recorder.integrations._common.call import dump_model, model_fields
from prefactor_recorder.integrations._common.payloads import SizeBudget, Text, part

JsonObject = dict[str, Any]
_END_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})


# Compatible servers use different names for the reasoning.
_TEXTS = ("content", "text", "refusal", "reasoning_content", "reasoning")


class _ToolCall:
    def __init__(self, budget: SizeBudget) -> None:
        self.id: Any = None
        self.name: Any = None
        self.arguments = Text(budget)

    def merged(self) -> JsonObject:
        function = {"name": self.name, "arguments": str(self.arguments)}
        return {"id": self.id, "type": "function", "function": function}


class _Choice:
    def __init__(self, budget: SizeBudget) -> None:
        self._budget = budget
        self.finish_reason: Any = None
        self._texts: dict[str, Text] = {}
        self._tool_calls: dict[Any, _ToolCall] = {}
        self._current: dict[Any, tuple[Any, Any]] = {}
        """By index: the key and the id of the tool call in progress."""

    def add(self, delta: Any) -> bool:
        has_content = False
        fields = model_fields(delta)
        for name in _TEXTS:
            text = fields.get(name)
            if isinstance(text, str) and text:
                has_content = self._text(name).add(text) or has_content
        for call in fields.get("tool_calls") or ():
            has_content = self._add_tool_call(call) or has_content
        return has_content

    def _text(self, name: str) -> Text:
        if name not in self._texts:
            self._texts[name] = Text(self._budget)
        return self._texts[name]

    def _add_tool_call(self, delta: Any) -> bool:
        # Some compatible servers leave out the id, the index or the name.
        identifier = getattr(delta, "id", None) or None
        index = getattr(delta, "index", None)
        key = self._key(identifier if index is None else index, identifier)
        call = part(self._tool_calls, key, self._budget, lambda: _ToolCall(self._budget))
        function = getattr(delta, "function", None)
        if call is None or function is None:
            return False
        call.id = call.id or identifier
        call.name = call.name or getattr(function, "name", None)
        call.arguments.add(getattr(function, "arguments", None))
        return True

    def _key(self, index: Any, identifier: Any) -> Any:
        """Return the key of a tool call. A new id begins a new call, even with the same index."""
        key, known = self._current.get(index, (None, None))
        if key is None or (identifier and known and identifier != known):
            key, known = (index, identifier), identifier
        self._current[index] = key, known or identifier
        return key

    def texts(self) -> JsonObject:
        return {name: str(text) for name, text in self._texts.items()}

    def message(self) -> JsonObject:
        calls = [call.merged() for call in self._tool_calls.values()]
        tools = {"tool_calls": calls} if calls else {}
        return {"role": "assistant", "content": None, **self.texts(), **tools}


class ChatMerger:
    """Merges the chunks of a chat completion or a legacy completion."""

    def __init__(self) -> None:
        self.done = False
        self._budget = SizeBudget()
        self._head: JsonObject = {}
        self._choices: dict[Any, _Choice] = {}

    def add(self, chunk: Any) -> bool:
        """Add a chunk."""
        for name in ("id", "model"):
            self._head[name] = self._head.get(name) or getattr(chunk, name, None)
        if getattr(chunk, "usage", None) is not None:
            self._head["usage"] = dump_model(chunk.usage)
        has_content = False
        for choice in getattr(chunk, "choices", None) or ():
            has_content = self._add_choice(choice) or has_content
        return has_content

    def _add_choice(self, choice: Any) -> bool:
        index = getattr(choice, "index", None) or 0
        kept = part(self._choices, index, self._budget, lambda: _Choice(self._budget))
        if kept is None:
            return False
        reason = getattr(choice, "finish_reason", None)
        if reason:
            kept.finish_reason = reason
            self.done = True
        # A legacy completion has its text in the choice.
        return bool(kept.add(getattr(choice, "delta", None) or choice))

    def merged(self) -> JsonObject:
        """Return a chat completion."""
        choices = [
            {
                "index": index,
                "finish_reason": choice.finish_reason,
                "message": choice.message(),
            }
            for index, choice in sorted(self._choices.items())
        ]
        return {**self._head, "choices": choices, **self._budget.mark()}


class CompletionMerger(ChatMerger):
    """Merges the chunks of a legacy completion."""

    def merged(self) -> JsonObject:
        """Return a legacy completion."""
        body = super().merged()
        for choice in body["choices"]:
            choice["text"] = choice.pop("message").get("text", "")
        return body


class ResponseMerger:
    """Merges the events of a response.

    The last event holds the complete response. The earlier ones are needed if it does not arrive.
    Finished items replace the text merged so far.
    """

    def __init__(self) -> None:
        self.done = False
        self._budget = SizeBudget()
        self._head: JsonObject = {}
        self._items: dict[Any, JsonObject] = {}
        self._texts: dict[Any, Text] = {}

    def add(self, chunk: Any) -> bool:
        """Add an event."""
        kind = getattr(chunk, "type", "")
        if kind in _END_EVENTS:
            self.done = True
            self._head = dump_model(chunk.response)
        elif kind == "error":
            self.done = True
            self._head["status"] = "failed"
            self._head["error"] = {"code": chunk.code, "message": chunk.message}
        elif kind == "response.created":
            head = chunk.response
            self._head = {"id": head.id, "model": head.model, "status": head.status}
        elif kind == "response.output_item.done":
            self._finished(chunk)
        elif kind.endswith(".delta"):
            return self._add_text(chunk, kind)
        return False

    def _finished(self, event: Any) -> None:
        # The key includes the id, because some servers give every item the same index.
        key = (event.output_index, getattr(event.item, "id", None))
        if self._budget.part():
            self._items[key] = dump_model(event.item)
        self._texts.pop(key, None)

    def _add_text(self, event: Any, kind: str) -> bool:
        if kind == "response.output_text.delta":
            key = (event.output_index, getattr(event, "item_id", None))
            text = part(self._texts, key, self._budget, lambda: Text(self._budget))
            if text is not None:
                text.add(event.delta)
        return bool(event.delta)

    def merged(self) -> JsonObject:
        """Return the response, or as much of it as has arrived."""
        if "output" in self._head:
            return self._head
        output: dict[Any, JsonObject] = {
            key: {"type": "message", "content": [{"type": "output_text", "text": str(text)}]}
            for key, text in self._texts.items()
        }
        output.update(self._items)
        in_order = [item for _, item in sorted(output.items(), key=lambda each: each[0][0])]
        return {**self._head, "output": in_order, **self._budget.mark()}


class NoMerger:
    """Merges nothing, for endpoints that do not stream."""

    done = True

    def add(self, chunk: Any) -> bool:
        """Ignore a chunk."""
        return chunk is not None

    def merged(self) -> JsonObject:
        """Return an empty body."""
        return {}
