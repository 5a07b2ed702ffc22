"""What the spans of the OpenAI Agents SDK hold, as JSON: pure functions, nothing is recorded here.

The SDK fills a span in while it goes on: what is not known when it begins is part of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from prefactor_recorder.integrations._common.call import dump_model
from prefactor_recorder.integrations._common.payloads import (
    items,
    members,
    parse_arguments,
    tokens,
    without_empty,
    without_none,
    without_secrets,
)
from prefactor_recorder.integrations.openai.results import response_result

PARAMETERS = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "tool_choice",
    "parallel_tool_calls",
    "truncation",
    "max_tokens",
    "reasoning",
    "verbosity",
)
"""Settings of a model call that are recorded: a list of what may be taken, because headers and
whole request bodies are among the others."""


def plain(value: Any) -> Any:
    """A value with the models in it as JSON."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in cast("Any", value).items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in cast("Any", value)]
    return dump_model(value) if hasattr(value, "model_dump") else value


def start_payload(data: Any) -> dict[str, Any]:
    """The payload: what a span's data says when the span begins."""
    kind: str = data.type
    if kind in _START_FIELDS:
        return without_empty(**{name: plain(getattr(data, name)) for name in _START_FIELDS[kind]})
    if kind in {"generation", "transcription"}:
        return _call(data, {"messages": plain(data.input)} if kind == "generation" else {})
    if kind == "speech":
        return _call(data, {"input": data.input})  # the text; sound is not recorded
    # An unknown kind of span exports itself.
    return without_empty(name=kind, data=plain(data.export()))


_START_FIELDS = {
    "agent": ("name", "handoffs", "tools", "output_type"),
    "custom": ("name", "data"),
    "function": ("name",),
    "guardrail": ("name",),
    "handoff": ("from_agent",),
    "mcp_tools": ("server",),
    "response": (),  # its input is there when it ends
    "speech_group": ("input",),
    "task": ("name",),
    "turn": ("turn", "agent_name"),
}


def _call(data: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """A call of a model: which one, with which settings, for what."""
    settings = members(data.model_config)
    parameters = {name: settings[name] for name in PARAMETERS if settings.get(name) is not None}
    return without_empty(model=data.model, parameters=parameters, **inputs)


def end_result(data: Any, payload: Mapping[str, Any], *, failed: bool = False) -> dict[str, Any]:
    """The result: what its data says when it ends, and did not say in its payload.

    Args:
        data: The span's data.
        payload: What was said when it began.
        failed: Whether the step failed. A tool that did has no output, not even None.
    """
    if data.type == "function":
        return ({} if failed else {"output": None}) | _function(data)
    log_safely = _RESULTS.get(data.type)
    if log_safely is not None:
        return log_safely(data)
    if data.type == "generation":
        return _generation(data, payload)
    now = start_payload(data)
    return {
        name: value for name, value in now.items() if name not in payload or payload[name] != value
    }


def _function(data: Any) -> dict[str, Any]:
    called = without_none(arguments=parse_arguments(data.input), output=plain(data.output))
    return {**called, **without_empty(mcp=plain(data.mcp_data))}


def _sums(data: Any) -> dict[str, Any]:
    """Sums of the model calls below. Under `token_usage` they would be counted once more."""
    return without_empty(totals=plain(data.usage))


def _response(data: Any) -> dict[str, Any]:
    """A call of the Responses API."""
    told = without_empty(messages=plain(data.input))
    if data.response is not None:
        body = dump_model(data.response)
        told.update(response_result(body))
        told.pop("usage", None)  # said by `token_usage`
        tools = without_secrets(body.get("tools"))
        told.update(without_empty(instructions=body.get("instructions"), tools=tools))
    return {**told, **_usage(data)}


def _generation(data: Any, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A call of Chat Completions, or of another vendor's model."""
    answers: Any = plain(data.output) or []
    text = next((said for each in answers if (said := _text(members(each)))), None)
    late = {} if "messages" in payload else without_empty(messages=plain(data.input))
    model = {} if "model" in payload else without_empty(model=data.model)
    return {**late, **model, **without_empty(text=text, output=answers), **_usage(data)}


def _text(answer: Mapping[str, Any]) -> str | None:
    """The text of an answer, or of an item of one, in the form of either API; None without one."""
    if answer.get("object") == "response":
        return response_result(dict(answer)).get("text")
    content = answer.get("content")
    if isinstance(content, str):
        return content or None
    return "".join(str(part.get("text") or "") for part in items(content)) or None


def _usage(data: Any) -> dict[str, Any]:
    usage = members(data.usage)
    counts = tokens(
        usage.get("input_tokens", usage.get("prompt_tokens")),
        usage.get("output_tokens", usage.get("completion_tokens")),
        usage.get("total_tokens"),
    )
    return without_empty(token_usage=counts)


def failure(error: Mapping[str, Any] | None, kind: str, stack: str) -> dict[str, str]:
    """The `error` of a result.

    The words are those that the SDK put on the span, and no others: it has left out of them what
    `trace_include_sensitive_data` says is to be left out, which an exception's own text has not.

    Args:
        error: What the SDK says of it: `message`, and `data` with more.
        kind: The class of the exception, if there is one.
        stack: Where it was raised.
    """
    told = error or {}
    message = str(told.get("message") or "")
    detail = members(told.get("data")).get("error")
    return {
        "error_type": kind or "SpanError",
        "message": f"{message}: {detail}" if detail else message,
        "stacktrace": stack,
    }


_RESULTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "guardrail": lambda data: {"triggered": bool(data.triggered)},
    "handoff": lambda data: without_empty(to_agent=data.to_agent),
    "mcp_tools": lambda data: without_empty(tools=data.result),
    "response": _response,
    "speech": lambda data: without_empty(first_content_at=data.first_content_at),
    "task": _sums,
    "transcription": lambda data: without_empty(text=data.output),
    "turn": _sums,
}
