"""Results of calls of the OpenAI API, one function per endpoint."""

from __future__ import annotations

from typing import Any, cast

from prefactor_otel.json_values import (
    items,
    members,
    parse_arguments,
    tokens,
    without_empty,
    without_none,
)
from prefactor_recorder.integrations._common.call import dump_model
from prefactor_recorder.integrations._common.payloads import CUT

JsonObject = dict[str, Any]
_PLAIN_MESSAGE = {"role", "content", "tool_calls", "parsed"}
_PLAIN_CHOICE = {"index", "finish_reason", "message"}
_PLAIN_OUTPUT = {"message", "function_call"}


def chat_result(body: JsonObject) -> JsonObject:
    """Return the first choice of a chat completion, and all choices if there is anything else."""
    choices = items(body.get("choices"))
    first = choices[0] if choices else {}
    message = members(first.get("message"))
    return without_empty(
        **_head(body),
        text=message.get("content"),
        tool_calls=[_chat_tool_call(call) for call in items(message.get("tool_calls"))],
        finish_reason=first.get("finish_reason"),
        choices=choices if len(choices) > 1 or _says_more(first) else None,
        **_usage(body),
    )


def _says_more(choice: JsonObject) -> bool:
    """Whether a choice has more than text, tool calls and a finish reason, such as a refusal."""
    message = members(choice.get("message"))
    return any(value for name, value in choice.items() if name not in _PLAIN_CHOICE) or any(
        value for name, value in message.items() if name not in _PLAIN_MESSAGE
    )


def _chat_tool_call(call: JsonObject) -> JsonObject:
    function = members(call.get("function")) or members(call.get("custom"))
    written = function.get("arguments", function.get("input"))
    return without_none(
        id=call.get("id"), name=function.get("name"), arguments=parse_arguments(written)
    )


def completion_result(body: JsonObject) -> JsonObject:
    """Return the first choice of a legacy completion, and all choices if there are several."""
    choices = items(body.get("choices"))
    first = choices[0] if choices else {}
    return without_empty(
        **_head(body),
        text=first.get("text"),
        finish_reason=first.get("finish_reason"),
        choices=choices if len(choices) > 1 else None,
        **_usage(body),
    )


def response_result(body: JsonObject) -> JsonObject:
    """Return the text and function calls of a response, and its output if there is more."""
    output = items(body.get("output"))
    incomplete = members(body.get("incomplete_details")).get("reason")
    error = members(body.get("error"))
    result = without_empty(
        **_head(body),
        text="".join(
            part.get("text") or ""
            for item in output
            for part in items(item.get("content"))
            if part.get("type") == "output_text"
        ),
        tool_calls=[
            without_none(
                id=item.get("call_id"),
                name=item.get("name"),
                arguments=parse_arguments(item.get("arguments")),
            )
            for item in output
            if item.get("type") == "function_call"
        ],
        finish_reason=incomplete or body.get("status"),
        output=output if any(_is_special(item) for item in output) else None,
        **_usage(body),
    )
    if error or body.get("status") == "failed":
        result["error"] = {
            "error_type": str(error.get("code") or "response_failed"),
            "message": str(error.get("message") or ""),
            "stacktrace": "",
        }
    return result


def _is_special(item: JsonObject) -> bool:
    return item.get("type") not in _PLAIN_OUTPUT or any(
        part.get("type") != "output_text" for part in items(item.get("content"))
    )


def embedding_body(response: Any) -> JsonObject:
    """Return an embedding response as JSON, with only its first vector."""
    data = [{"embedding": item.embedding} for item in response.data[:1]]
    return {
        "model": response.model,
        "usage": dump_model(response.usage),
        "data": data,
        "count": len(response.data),
    }


def embedding_result(body: JsonObject) -> JsonObject:
    """Return the number of vectors and dimensions of an embedding, without the vectors."""
    data = items(body.get("data"))
    first = data[0].get("embedding") if data else None
    return without_empty(
        **_head(body),
        vectors=body.get("count", len(data)),
        dimensions=len(cast("Any", first)) if isinstance(first, list) else None,
        **_usage(body),
    )


def _head(body: JsonObject) -> JsonObject:
    return {"model": body.get("model"), "response_id": body.get("id"), CUT: body.get(CUT)}


def _usage(body: JsonObject) -> JsonObject:
    usage = members(body.get("usage"))
    # Newer endpoints have `input_tokens` and `output_tokens`.
    prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    completion = usage.get("completion_tokens", usage.get("output_tokens"))
    return {
        "usage": usage,
        "token_usage": tokens(prompt, completion, usage.get("total_tokens")),
    }
