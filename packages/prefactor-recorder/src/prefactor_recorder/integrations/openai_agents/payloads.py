"""Converts the data of the OpenAI Agents SDK's spans to payloads and results. Pure functions.

The SDK adds data to a span until it ends. Whatever is unknown at its start goes into the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from prefactor_otel.json_values import (
    items,
    members,
    parse_arguments,
    tokens,
    without_empty,
    without_none,
    without_secrets,
)
from prefactor_recorder.integrations._common.call import dump_model
from prefactor_recorder.integrations._common.payloads import OMITTED, Walk
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
"""Recorded settings of a model call. An allow list, because headers and request bodies are among
the others."""


def plain(value: Any, walk: Walk | None = None) -> Any:
    """Convert the models inside a value to JSON."""
    if not isinstance(value, Mapping | list | tuple):
        return dump_model(value) if hasattr(value, "model_dump") else value
    walk = walk or Walk()
    if not walk.enter(value):
        return OMITTED
    try:
        if isinstance(value, Mapping):
            return {str(key): plain(each, walk) for key, each in cast("Any", value).items()}
        return [plain(each, walk) for each in cast("Any", value)]
    finally:
        walk.leave(value)


def start_payload(data: Any) -> dict[str, Any]:
    """Return the payload of a span, from its data at the start."""
    kind: str = data.type
    if kind in _START_FIELDS:
        return without_empty(**{name: plain(getattr(data, name)) for name in _START_FIELDS[kind]})
    if kind in {"generation", "transcription"}:
        return _call(data, {"messages": plain(data.input)} if kind == "generation" else {})
    if kind == "speech":
        return _call(data, {"input": data.input})  # the text, not the audio
    # An unknown kind of span exports itself.
    return without_empty(name=kind, data=plain(data.export()))


_START_FIELDS = {
    "agent": ("name", "handoffs", "tools", "output_type"),
    "custom": ("name", "data"),
    "function": ("name",),
    "guardrail": ("name",),
    "handoff": ("from_agent",),
    "mcp_tools": ("server",),
    "response": (),  # its input is set when it ends
    "speech_group": ("input",),
    "task": ("name",),
    "turn": ("turn", "agent_name"),
}


def _call(data: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of a model call."""
    settings = members(data.model_config)
    parameters = {name: settings[name] for name in PARAMETERS if settings.get(name) is not None}
    return without_empty(model=data.model, parameters=parameters, **inputs)


def end_result(data: Any, payload: Mapping[str, Any], *, failed: bool = False) -> dict[str, Any]:
    """Return the result of a span: its data at the end, without what is in its payload.

    Args:
        data: The span's data.
        payload: Its payload.
        failed: Whether it failed. A failed tool has no output, not even None.
    """
    if data.type == "function":
        return ({} if failed else {"output": None}) | _function(data)
    convert = _RESULTS.get(data.type)
    if convert is not None:
        return convert(data)
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
    """Return totals of the model calls below. As `token_usage`, they would be counted twice."""
    return without_empty(totals=plain(data.usage))


def _response(data: Any) -> dict[str, Any]:
    """Return the result of a call of the Responses API."""
    result = without_empty(messages=plain(data.input))
    if data.response is not None:
        body = dump_model(data.response)
        result.update(response_result(body))
        result.pop("usage", None)  # same as `token_usage`
        tools = without_secrets(body.get("tools"))
        result.update(without_empty(instructions=body.get("instructions"), tools=tools))
    return {**result, **_usage(data)}


def _generation(data: Any, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a call of Chat Completions or of another vendor's model."""
    responses: Any = plain(data.output) or []
    text = next((found for each in responses if (found := _text(members(each)))), None)
    late = {} if "messages" in payload else without_empty(messages=plain(data.input))
    model = {} if "model" in payload else without_empty(model=data.model)
    return {**late, **model, **without_empty(text=text, output=responses), **_usage(data)}


def _text(response: Mapping[str, Any]) -> str | None:
    """Return the text of a response or of an output item, in the form of either API, or None."""
    if response.get("object") == "response":
        return response_result(dict(response)).get("text")
    content = response.get("content")
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
    """Return the `error` of a result.

    The message is the SDK's, not the exception's, because the SDK leaves out sensitive data if
    `trace_include_sensitive_data` is off.

    Args:
        error: The error of the SDK's span: `message`, and `data` with details.
        kind: The class of the exception, if any.
        stack: Its stack trace.
    """
    reported = error or {}
    message = str(reported.get("message") or "")
    detail = members(reported.get("data")).get("error")
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
