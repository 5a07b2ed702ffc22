"""Arguments and results of tools are recorded unchanged in every integration."""

import json
from typing import Any

import agents
import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from opentelemetry.sdk.trace import TracerProvider

from model_api import ModelApi, model_api
from prefactor_otel.json_values import parse_arguments
from prefactor_recorder.integrations.langchain import PrefactorCallbackHandler
from prefactor_recorder.integrations.langchain.results import tool_output
from prefactor_recorder.integrations.openai_agents import record_agents
from prefactor_recorder.integrations.opentelemetry import PrefactorSpanProcessor
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import the_span
from tool_fixture import anthropic_message, anthropic_result, openai_result, response_body, same

__all__ = ["model_api"]
WEI = 123456789012345678901234567890
FALSY: list[Any] = [0, 0.0, False, [], {}, "", None]


@pytest.fixture
def recorder() -> InMemoryRecorder:
    """A recorder to look at afterwards."""
    return InMemoryRecorder()


def otel_span(recorder: InMemoryRecorder, **attributes: Any) -> Any:
    """Return what is recorded of one tool span."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(PrefactorSpanProcessor(recorder))
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    with provider.get_tracer("t").start_as_current_span(
        "execute_tool find", attributes={"gen_ai.operation.name": "execute_tool", **named}
    ):
        pass
    return recorder.spans[-1]


# --- Numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"wei":123456789012345678901234567890}', {"wei": WEI}),
        ("[-123456789012345678901234567890]", [-WEI]),
        ("18446744073709551616", 2**64),
        ("-9223372036854775809", -(2**63) - 1),
        ("9007199254740993", 2**53 + 1),
        ("9007199254740993.0", "9007199254740993.0"),
        ("0.1234567890123456789012345", "0.1234567890123456789012345"),
        ("12345678.1234567891234", "12345678.1234567891234"),
        ("1e400", "1e400"),
        ("-1E+400", "-1E+400"),
        ("1e-400", "1e-400"),
        ("1e5", 1e5),
        ("2.5e-3", 0.0025),
        ("0.30000000000000004", 0.1 + 0.2),
        ("[0.5, 1]", [0.5, 1]),
        ("[NaN, 1234567890123456]", "[NaN, 1234567890123456]"),
        ("[-Infinity, 1e1]", "[-Infinity, 1e1]"),
        ("9" * 5000, "9" * 5000),
        ('"a text of 1234567890123456 digits"', "a text of 1234567890123456 digits"),
        ('{"broken": 1234567890123456', '{"broken": 1234567890123456'),
        ("[" * 100_000 + "1234567890123456", "[" * 100_000 + "1234567890123456"),
    ],
)
def test_numbers_are_read_to_the_digit(text: str, expected: Any) -> None:
    """Integers of any size are exact; numbers beyond a float, and invalid JSON, stay text."""
    found = parse_arguments(text)
    assert found == expected
    assert type(found) is type(expected)


def test_large_numbers_of_every_library_are_exact(
    recorder: InMemoryRecorder, model_api: ModelApi
) -> None:
    """Arguments and results with integers beyond 64 bits keep their digits."""
    written = json.dumps({"wei": WEI})
    call = {"id": "t", "type": "function", "function": {"name": "pay", "arguments": written}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    chat = openai_result(model_api, chat_completion(message))
    item = {"type": "function_call", "id": "f", "call_id": "t", "name": "pay", "arguments": written}
    response = openai_result(model_api, response_body([item]), responses=True)
    block = {"type": "tool_use", "id": "t", "name": "pay", "input": {"wei": WEI}}
    whole = anthropic_result(model_api, anthropic_message([block]))
    for result in (chat, response, whole):
        assert digits(result["tool_calls"][0]["arguments"]["wei"]) == str(WEI)

    span = otel_span(
        recorder, gen_ai__tool__call__arguments=written, gen_ai__tool__call__result=f"[{WEI}]"
    )
    assert digits(span.payload["input"]["wei"]) == str(WEI)
    assert digits(span.result["output"][0]) == str(WEI)

    record_agents(recorder, replace=True)
    with recorder.run(), agents.trace("w"), agents.function_span("pay", written, written):
        pass
    told = the_span(recorder, "openai_agents:tool").result
    assert digits(told["arguments"]["wei"]) == digits(told["output"]) == str(WEI)


def digits(value: Any) -> str:
    """A number in full, whichever form it was recorded in."""
    return str(json.loads(value)["wei"]) if str(value).startswith("{") else str(value)


# --- Empty results ----------------------------------------------------------------------------


@pytest.mark.parametrize("value", FALSY, ids=repr)
@pytest.mark.parametrize(
    "name", ["gen_ai.tool.call.result", "output.value", "traceloop.entity.output"]
)
def test_an_empty_result_of_opentelemetry_is_kept(
    recorder: InMemoryRecorder, name: str, value: Any
) -> None:
    """A tool's result is its attribute, and without one there is no output."""
    result = otel_span(recorder, **{name: json.dumps(value)}).result
    assert same(result["output"], value)
    assert "output" not in otel_span(recorder).result


@pytest.mark.parametrize("value", [0, 0.0, False, "", ()], ids=repr)
def test_an_empty_attribute_of_opentelemetry_is_kept(
    recorder: InMemoryRecorder, value: Any
) -> None:
    """Attributes that are not JSON are kept too, as input and as output."""
    span = otel_span(
        recorder, gen_ai__tool__call__arguments=value, gen_ai__tool__call__result=value
    )
    expected = [] if value == () else value
    assert same(span.payload["input"], expected)
    assert same(span.result["output"], expected)


@pytest.mark.parametrize("value", FALSY, ids=repr)
def test_an_empty_result_of_the_agents_sdk_is_kept(recorder: InMemoryRecorder, value: Any) -> None:
    """A tool's result is kept, including None."""
    record_agents(recorder, replace=True)
    with recorder.run(), agents.trace("w"), agents.function_span("find", "{}") as span:
        span.span_data.output = value
    result = the_span(recorder, "openai_agents:tool").result
    assert same(result["output"], value)
    assert result["arguments"] == {}


def test_a_failed_tool_of_the_agents_sdk_has_no_output(recorder: InMemoryRecorder) -> None:
    """A tool that raised has no output, unlike one that returned None."""
    record_agents(recorder, replace=True)
    with recorder.run(), agents.trace("w"), agents.function_span("find", "{}") as span:
        span.set_error({"message": "no luck", "data": None})
    result = the_span(recorder, "openai_agents:tool").result
    assert "output" not in result
    assert result["error"]["message"] == "no luck"


@pytest.mark.parametrize("value", FALSY, ids=repr)
def test_an_empty_result_of_langchain_is_kept(recorder: InMemoryRecorder, value: Any) -> None:
    """A tool's result is kept unchanged."""

    @tool
    def find() -> Any:
        """Find nothing."""
        return value

    with recorder.run():
        find.invoke({}, {"callbacks": [PrefactorCallbackHandler()]})
    assert same(the_span(recorder, "langchain:tool").result["output"], value)
    for content in ("", []):
        assert tool_output(ToolMessage(content, tool_call_id="t")) == {"output": content}


def test_empty_arguments_are_recorded(model_api: ModelApi) -> None:
    """A call without arguments is recorded with empty arguments."""
    call = {"id": "t", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    chat = openai_result(model_api, chat_completion(message))
    item = {"type": "function_call", "id": "f", "call_id": "t", "name": "now", "arguments": "{}"}
    response = openai_result(model_api, response_body([item]), responses=True)
    block = {"type": "tool_use", "id": "t", "name": "now", "input": {}}
    whole = anthropic_result(model_api, anthropic_message([block]))
    for result in (chat, response, whole):
        assert result["tool_calls"] == [{"id": "t", "name": "now", "arguments": {}}]


# --- Responses of the vendors -----------------------------------------------------------------


def chat_completion(message: dict[str, Any]) -> dict[str, Any]:
    """A chat completion with that message."""
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice]}
