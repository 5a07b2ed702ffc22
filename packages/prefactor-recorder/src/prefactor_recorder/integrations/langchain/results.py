"""What steps of LangChain came to: answers with their tokens, outputs of tools, ways of ending."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from prefactor_recorder.integrations.langchain.payloads import message, plain

if TYPE_CHECKING:
    from langchain_core.outputs import Generation, LLMResult

    from prefactor_recorder.outcome import Status

_PROMPT = ("input_tokens", "prompt_tokens", "inputTokens", "prompt_token_count")
_COMPLETION = ("output_tokens", "completion_tokens", "outputTokens", "candidates_token_count")
_TOTAL = ("total_tokens", "totalTokens", "total_token_count")
_DETAILS = {
    "input_token_details": "prompt_tokens_details",
    "output_token_details": "completion_tokens_details",
}
_USAGES = ("token_usage", "usage", "usage_metadata")
_MAX_RETRIES = 20


def reply(response: LLMResult) -> dict[str, Any]:
    """The result of a model call: what it said, and what is known about the saying."""
    generations = [each for prompt in response.generations for each in prompt]
    told: dict[str, Any] = {}
    if generations:
        told["text"] = generations[0].text
        told["messages"] = [_said(each) for each in generations]
    if model := _first_text(generations, response, ("model_name", "model")):
        told["model"] = model
    if reason := _first_text(generations, response, ("finish_reason", "stop_reason")):
        told["finish_reason"] = reason
    if usage := token_usage(generations, response):
        told["token_usage"] = usage
    return told


def _said(generation: Generation) -> dict[str, Any]:
    said = getattr(generation, "message", None)
    return {"role": "assistant", "content": generation.text} if said is None else message(said)


def token_usage(generations: list[Generation], response: LLMResult) -> dict[str, Any]:
    """Tokens of a call: LangChain's own figures if the model's class gives them, else the vendor's.

    Of several candidates the first that has figures counts: each carries those of the whole call.
    """
    for table in _usages(generations, response):
        counts = {
            "prompt_tokens": _count(table, _PROMPT),
            "completion_tokens": _count(table, _COMPLETION),
            "total_tokens": _count(table, _TOTAL),
        }
        found: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}
        if not found:
            continue
        if "total_tokens" not in found and len(found) == 2:  # noqa: PLR2004 - both parts
            found["total_tokens"] = found["prompt_tokens"] + found["completion_tokens"]
        for theirs, ours in _DETAILS.items():
            if details := table.get(theirs):
                found[ours] = plain(details)
        return found
    return {}


def _usages(generations: list[Generation], response: LLMResult) -> Iterator[Mapping[str, Any]]:
    for said in _messages(generations):
        yield from _tables(getattr(said, "usage_metadata", None))
    for holder in _holders(generations, response):
        for name in _USAGES:
            yield from _tables(holder.get(name))


def _tables(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield cast("Mapping[str, Any]", value)


def _messages(generations: list[Generation]) -> Iterator[Any]:
    for each in generations:
        if (said := getattr(each, "message", None)) is not None:
            yield said


def _holders(generations: list[Generation], response: LLMResult) -> Iterator[Mapping[str, Any]]:
    """Where vendors' classes put what they were told about a reply."""
    for said in _messages(generations):
        yield from _tables(getattr(said, "response_metadata", None))
    yield from _tables(response.llm_output)
    for each in generations:
        yield from _tables(each.generation_info)


def _first_text(
    generations: list[Generation], response: LLMResult, names: tuple[str, ...]
) -> str | None:
    for holder in _holders(generations, response):
        for name in names:
            value = holder.get(name)
            if isinstance(value, str) and value:
                return value
    return None


def _count(table: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = table.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def failed_tool(output: Any) -> bool:
    """Whether a tool has failed and reports that only to the model."""
    return getattr(output, "status", None) == "error" and hasattr(output, "tool_call_id")


def tool_output(output: Any) -> dict[str, Any]:
    """The result of a tool: what the model is told, or what was returned."""
    if not hasattr(output, "tool_call_id"):
        return {"output": plain(output)}
    told: dict[str, Any] = {"output": plain(output.content)}
    if failed_tool(output):
        told["error"] = {"error_type": "ToolError", "message": str(output.content)}
    return told


def attempt(retry_state: Any) -> dict[str, Any]:
    """A failed attempt, as tenacity tells it."""
    told: dict[str, Any] = {"attempt": retry_state.attempt_number}
    error = retry_state.outcome.exception() if retry_state.outcome else None
    if error is not None:
        told.update(error_type=type(error).__qualname__, message=str(error))
    return told


def notes_result(notes: Mapping[str, Any]) -> dict[str, Any]:
    """What was noted while a step went on: how an answer was streamed, and failed attempts."""
    told: dict[str, Any] = {}
    if "waited" in notes:
        waited = round(notes["waited"] / 1e6, 3)
        # Most models tell each piece both ways when typed events are streamed, some one way only.
        chunks = max(notes.get("tokens", 0), notes.get("events", 0))
        told["streaming"] = {"chunks": chunks, "first_token_ms": waited}
    if "retries" in notes:
        told["retries"] = notes["retries"][:_MAX_RETRIES]
    return told


def control_flow(error: BaseException) -> tuple[Status, dict[str, Any]] | None:
    """How a step ended whose exception is LangGraph's way of directing a graph, not a failure.

    None for every other exception. LangGraph is not imported for this: code that raises one of its
    exceptions has done so.
    """
    errors: Any = sys.modules.get("langgraph.errors")
    if errors is None or not isinstance(error, errors.GraphBubbleUp):
        return None
    told: Any = error.args[0] if error.args else None
    if isinstance(error, errors.ParentCommand):
        return "complete", {"command": plain(told)}  # it has done its work, and says who is next
    if isinstance(error, errors.GraphInterrupt):
        # It runs again from its beginning once it is answered: this attempt came to nothing.
        return "cancelled", {"interrupts": plain(list(cast("Any", told or ())))}
    return "cancelled", {}
