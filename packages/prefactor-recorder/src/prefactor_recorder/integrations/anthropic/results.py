"""Results of calls of the Anthropic API, from complete or streamed responses."""

from __future__ import annotations

from typing import Any

from prefactor_otel.json_values import (
    items,
    members,
    parse_arguments,
    tokens,
    without_empty,
    without_none,
)
from prefactor_recorder.integrations._common.call import dump_model
from prefactor_recorder.integrations._common.payloads import CUT, SizeBudget, Text

JsonObject = dict[str, Any]
_CACHE_COUNTS = ("cache_creation_input_tokens", "cache_read_input_tokens")
_DELTAS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}
"""The member of each kind of delta that is appended to the member of the same name in the block."""


def message_result(body: JsonObject) -> JsonObject:
    """Return the text and tool calls of a message, and all blocks if there is anything else."""
    content = items(body.get("content"))
    return without_empty(
        model=body.get("model"),
        response_id=body.get("id"),
        text="".join(block.get("text") or "" for block in content if block.get("type") == "text"),
        tool_calls=[
            without_none(id=block.get("id"), name=block.get("name"), arguments=block.get("input"))
            for block in content
            if block.get("type") == "tool_use"
        ],
        finish_reason=body.get("stop_reason"),
        content=content if any(_is_special(block) for block in content) else None,
        usage=members(body.get("usage")),
        token_usage=_token_usage(members(body.get("usage"))),
        **{CUT: body.get(CUT)},
    )


def _is_special(block: JsonObject) -> bool:
    return block.get("type") not in {"text", "tool_use"} or bool(block.get("citations"))


def _token_usage(usage: JsonObject) -> dict[str, int]:
    """Return token counts. Tokens written to or read from the cache count as part of the prompt."""
    prompt = usage.get("input_tokens")
    if isinstance(prompt, int):
        prompt += sum(usage.get(name) or 0 for name in _CACHE_COUNTS)
    return tokens(prompt, usage.get("output_tokens"))


class _Block:
    def __init__(self, start: JsonObject, budget: SizeBudget) -> None:
        self._budget = budget
        self._start = start
        self._texts: dict[str, Text] = {}
        self._citations: list[JsonObject] = []

    def add(self, delta: Any) -> bool:
        kind = getattr(delta, "type", "")
        if kind == "citations_delta" and self._budget.part():
            self._citations.append(dump_model(delta.citation))
        name = _DELTAS.get(kind)
        if name is None:
            return False
        text = self._texts.setdefault(name, Text(self._budget))
        return text.add(getattr(delta, name, None))

    def merged(self) -> JsonObject:
        texts = {name: str(text) for name, text in self._texts.items()}
        written = texts.pop("partial_json", None)
        inputs = {} if written is None else {"input": parse_arguments(written)}
        citations = {"citations": self._citations} if self._citations else {}
        return {**self._start, **texts, **inputs, **citations}


class MessageMerger:
    """Merges the events of a streamed message."""

    def __init__(self) -> None:
        self.done = False
        self._budget = SizeBudget()
        self._head: JsonObject = {}
        self._blocks: list[tuple[Any, _Block]] = []
        self._open: dict[Any, tuple[Any, _Block | None]] = {}
        """By index: the id of the block in progress, and the block unless the budget is used up."""

    def add(self, chunk: Any) -> bool:
        """Add an event."""
        match getattr(chunk, "type", ""):
            case "message_start":
                self._head = dump_model(chunk.message)
            case "content_block_start":
                return self._started(chunk)
            case "content_block_delta":
                _, block = self._open.get(chunk.index, (None, None))
                return block is not None and block.add(chunk.delta)
            case "message_delta":
                self._head.update(dump_model(chunk.delta))
                self._head["usage"] = {**members(self._head.get("usage")), **_counts(chunk.usage)}
            case "message_stop":
                self.done = True
            case _:
                pass
        return False

    def _started(self, event: Any) -> bool:
        block = event.content_block
        identifier = getattr(block, "id", None)
        # A new id begins a new block, even with the same index.
        if event.index not in self._open or self._open[event.index][0] != identifier:
            begun = _Block(dump_model(block), self._budget) if self._budget.part() else None
            self._open[event.index] = identifier, begun
            if begun is not None:
                self._blocks.append((event.index, begun))
        # The first content of a response without text is the beginning of a tool call.
        return bool(getattr(block, "type", None) == "tool_use")

    def merged(self) -> JsonObject:
        """Return the message, or as much of it as has arrived."""
        in_order = sorted(self._blocks, key=lambda each: each[0])
        content = [block.merged() for _, block in in_order]
        return {**self._head, "content": content, **self._budget.mark()}


def _counts(usage: Any) -> JsonObject:
    """Return the counts of a delta, which are totals. Null counts are ignored."""
    return {name: count for name, count in dump_model(usage).items() if count is not None}
