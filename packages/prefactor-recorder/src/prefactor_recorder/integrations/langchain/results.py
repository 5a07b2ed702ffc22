"""Results of LangChain steps: model responses, token usage, tool outputs and control flow."""

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


def llm_result(response: LLMResult) -> dict[str, Any]:
    """Return the result of a model call: text, messages, model, finish reason and tokens."""
    generations = [each for prompt in response.generations for each in prompt]
    result: dict[str, Any] = {}
    if generations:
        result["text"] = generations[0].text
        result["messages"] = [_message(each) for each in generations]
    if model := _first_text(generations, response, ("model_name", "model")):
        result["model"] = model
    if reason := _first_text(generations, response, ("finish_reason", "stop_reason")):
        result["finish_reason"] = reason
    if usage := token_usage(generations, response):
        result["token_usage"] = usage
    return result


def _message(generation: Generation) -> dict[str, Any]:
    found = getattr(generation, "message", None)
    return {"role": "assistant", "content": generation.text} if found is None else message(found)


def token_usage(generations: list[Generation], response: LLMResult) -> dict[str, Any]:
    """Return token counts: LangChain's own if the model's class sets them, else the vendor's.

    The first generation with counts is used, because each has the counts of the whole call.
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
        for name, recorded_name in _DETAILS.items():
            if details := table.get(name):
                found[recorded_name] = plain(details)
        return found
    return {}


def _usages(generations: list[Generation], response: LLMResult) -> Iterator[Mapping[str, Any]]:
    for each in _messages(generations):
        yield from _tables(getattr(each, "usage_metadata", None))
    for metadata in _metadata(generations, response):
        for name in _USAGES:
            yield from _tables(metadata.get(name))


def _tables(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield cast("Mapping[str, Any]", value)


def _messages(generations: list[Generation]) -> Iterator[Any]:
    for each in generations:
        if (found := getattr(each, "message", None)) is not None:
            yield found


def _metadata(generations: list[Generation], response: LLMResult) -> Iterator[Mapping[str, Any]]:
    """Yield all places in which vendors' classes put metadata of a response."""
    for each in _messages(generations):
        yield from _tables(getattr(each, "response_metadata", None))
    yield from _tables(response.llm_output)
    for each in generations:
        yield from _tables(each.generation_info)


def _first_text(
    generations: list[Generation], response: LLMResult, names: tuple[str, ...]
) -> str | None:
    for metadata in _metadata(generations, response):
        for name in names:
            value = metadata.get(name)
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
    """Whether a tool failed and reported it to the model instead of raising."""
    return getattr(output, "status", None) == "error" and hasattr(output, "tool_call_id")


def tool_output(output: Any) -> dict[str, Any]:
    """Return the result of a tool: the content of its message, or its return value."""
    if not hasattr(output, "tool_call_id"):
        return {"output": plain(output)}
    result: dict[str, Any] = {"output": plain(output.content)}
    if failed_tool(output):
        result["error"] = {"error_type": "ToolError", "message": str(output.content)}
    return result


def attempt(retry_state: Any) -> dict[str, Any]:
    """Return a failed attempt as reported by tenacity."""
    found: dict[str, Any] = {"attempt": retry_state.attempt_number}
    error = retry_state.outcome.exception() if retry_state.outcome else None
    if error is not None:
        found.update(error_type=type(error).__qualname__, message=str(error))
    return found


def notes_result(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was noted during a step: streaming figures and failed attempts."""
    result: dict[str, Any] = {}
    if "waited" in notes:
        waited = round(notes["waited"] / 1e6, 3)
        # With typed events, most models report each chunk in both ways, some in only one.
        chunks = max(notes.get("tokens", 0), notes.get("events", 0))
        result["streaming"] = {"chunks": chunks, "first_token_ms": waited}
    if "retries" in notes:
        result["retries"] = notes["retries"][:_MAX_RETRIES]
    return result


def control_flow(error: BaseException) -> tuple[Status, dict[str, Any]] | None:
    """Return status and result of a step that raised one of LangGraph's control flow exceptions.

    Return None for any other exception. LangGraph is not imported here, because code that raises
    one of its exceptions has imported it.
    """
    errors: Any = sys.modules.get("langgraph.errors")
    if errors is None or not isinstance(error, errors.GraphBubbleUp):
        return None
    argument: Any = error.args[0] if error.args else None
    if isinstance(error, errors.ParentCommand):
        return "complete", {"command": plain(argument)}  # it finished and names the next node
    if isinstance(error, errors.GraphInterrupt):
        # Once the interrupt is answered, the step runs again from its beginning.
        return "cancelled", {"interrupts": plain(list(cast("Any", argument or ())))}
    return "cancelled", {}
