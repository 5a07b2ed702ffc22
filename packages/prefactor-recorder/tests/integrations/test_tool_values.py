"""What tools are given and return is kept to the digit, and calls stay separate."""

import json
from collections.abc import Iterator
from typing import Any

import agents
import anthropic
import openai
import pytest
from langchain_core.messages import AIMessageChunk, ToolMessage
from langchain_core.tools import tool
from opentelemetry.sdk.trace import TracerProvider

from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.integrations import anthropic as recording_anthropic
from prefactor_recorder.integrations import openai as recording_openai
from prefactor_recorder.integrations._common.payloads import parse_arguments
from prefactor_recorder.integrations.langchain import PrefactorCallbackHandler
from prefactor_recorder.integrations.langchain.results import tool_output
from prefactor_recorder.integrations.openai_agents import record_agents
from prefactor_recorder.integrations.opentelemetry import PrefactorSpanProcessor
from prefactor_recorder.recorder import Recorder
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import the_span

__all__ = ["model_api"]

WEI = 123456789012345678901234567890
MESSAGES: Any = [{"role": "user", "content": "Hello"}]
FALSY: list[Any] = [0, 0.0, False, [], {}, "", None]


@pytest.fixture
def recorder() -> InMemoryRecorder:
    """A recorder to look at afterwards."""
    return InMemoryRecorder()


@pytest.fixture(autouse=True)
def instrumented() -> Iterator[None]:
    """The vendors' clients are recorded, and the SDK's processors are put away at the end."""
    recording_openai.instrument(Recorder(enabled=False))
    recording_anthropic.instrument(Recorder(enabled=False))
    yield
    recording_openai.uninstrument()
    recording_anthropic.uninstrument()
    agents.set_trace_processors([])


def openai_result(model_api: ModelApi, answer: Any, *, responses: bool = False) -> Any:
    """What is recorded of one call, streamed if the answer is a list."""
    journal = RecordingJournal()
    model_api.answer(answer)
    streamed = isinstance(answer, list)
    with (
        openai.OpenAI(api_key="sk", base_url=model_api.url, max_retries=0) as client,
        make_run(journal),
    ):
        made: Any = (
            client.responses.create(model="m", input="Hello", stream=streamed)
            if responses
            else client.chat.completions.create(model="m", messages=MESSAGES, stream=streamed)
        )
        _ = list(made) if streamed else made
    return journal.of_operation(Operation.FINISH_SPAN)[0]["result_payload"]


def anthropic_result(model_api: ModelApi, answer: Any) -> Any:
    """The same of Anthropic's client."""
    journal = RecordingJournal()
    model_api.answer(answer)
    with (
        anthropic.Anthropic(api_key="sk", base_url=model_api.url, max_retries=0) as client,
        make_run(journal),
    ):
        made: Any = client.messages.create(
            model="m", max_tokens=9, messages=MESSAGES, stream=isinstance(answer, list)
        )
        _ = list(made) if isinstance(answer, list) else made
    return journal.of_operation(Operation.FINISH_SPAN)[0]["result_payload"]


def otel_span(recorder: InMemoryRecorder, **attributes: Any) -> Any:
    """What is recorded of one span of a tool."""
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
    """An integer has any size; what no float holds, and what is not JSON, stays its text."""
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
    """A result of a tool is what the attribute says; without one there is no output."""
    result = otel_span(recorder, **{name: json.dumps(value)}).result
    assert same(result["output"], value)
    assert "output" not in otel_span(recorder).result


@pytest.mark.parametrize("value", [0, 0.0, False, "", ()], ids=repr)
def test_an_empty_attribute_of_opentelemetry_is_kept(
    recorder: InMemoryRecorder, value: Any
) -> None:
    """Attributes that are no JSON are kept likewise, as input and as output."""
    span = otel_span(
        recorder, gen_ai__tool__call__arguments=value, gen_ai__tool__call__result=value
    )
    expected = [] if value == () else value
    assert same(span.payload["input"], expected)
    assert same(span.result["output"], expected)


@pytest.mark.parametrize("value", FALSY, ids=repr)
def test_an_empty_result_of_the_agents_sdk_is_kept(recorder: InMemoryRecorder, value: Any) -> None:
    """What a tool returned is kept, and None is something it can return."""
    record_agents(recorder, replace=True)
    with recorder.run(), agents.trace("w"), agents.function_span("find", "{}") as span:
        span.span_data.output = value
    result = the_span(recorder, "openai_agents:tool").result
    assert same(result["output"], value)
    assert result["arguments"] == {}


def test_a_failed_tool_of_the_agents_sdk_has_no_output(recorder: InMemoryRecorder) -> None:
    """That a tool returned nothing is not said of one that did not return."""
    record_agents(recorder, replace=True)
    with recorder.run(), agents.trace("w"), agents.function_span("find", "{}") as span:
        span.set_error({"message": "no luck", "data": None})
    result = the_span(recorder, "openai_agents:tool").result
    assert "output" not in result
    assert result["error"]["message"] == "no luck"


@pytest.mark.parametrize("value", FALSY, ids=repr)
def test_an_empty_result_of_langchain_is_kept(recorder: InMemoryRecorder, value: Any) -> None:
    """What a tool returned is kept as it is."""

    @tool
    def find() -> Any:
        """Find nothing."""
        return value

    with recorder.run():
        find.invoke({}, {"callbacks": [PrefactorCallbackHandler()]})
    assert same(the_span(recorder, "langchain:tool").result["output"], value)
    for content in ("", []):
        assert tool_output(ToolMessage(content, tool_call_id="t")) == {"output": content}


def test_calls_without_arguments_say_so(model_api: ModelApi) -> None:
    """Empty arguments are arguments."""
    call = {"id": "t", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    chat = openai_result(model_api, chat_completion(message))
    item = {"type": "function_call", "id": "f", "call_id": "t", "name": "now", "arguments": "{}"}
    response = openai_result(model_api, response_body([item]), responses=True)
    block = {"type": "tool_use", "id": "t", "name": "now", "input": {}}
    whole = anthropic_result(model_api, anthropic_message([block]))
    for result in (chat, response, whole):
        assert result["tool_calls"] == [{"id": "t", "name": "now", "arguments": {}}]


def same(found: Any, expected: Any) -> bool:
    """Whether values are equal and of one type: 0 is not False."""
    return found == expected and type(found) is type(expected)


# --- Calls that share an index ----------------------------------------------------------------


def pieces_of_chat(*calls: dict[str, Any]) -> list[Any]:
    """A stream with one piece of a tool call in each chunk."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas: list[Any] = [{"tool_calls": [call]} for call in calls]
    listed: list[Any] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    return [*listed, end, "[DONE]"]


def piece(index: int | None, identifier: str | None, name: str | None, written: str) -> Any:
    """One piece of a tool call."""
    function = {"name": name, "arguments": written}
    return {"index": index, "id": identifier, "type": "function", "function": function}


CALLS = [
    {"id": "t-1", "name": "find", "arguments": {"q": 1}},
    {"id": "t-2", "name": "read", "arguments": {"p": 2}},
]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [
                piece(0, "t-1", "find", '{"q":'),
                piece(0, None, None, " 1}"),
                piece(0, "t-2", "read", '{"p":'),
                piece(0, None, None, " 2}"),
            ],
            id="one index for all",
        ),
        pytest.param(
            [
                piece(0, "t-1", "find", '{"q":'),
                piece(0, "t-1", None, " 1}"),
                piece(0, "t-2", "read", '{"p":'),
                piece(0, "t-2", None, " 2}"),
            ],
            id="the id in every piece",
        ),
        pytest.param(
            [
                piece(0, "t-1", "find", '{"q":'),
                piece(0, "t-2", "read", '{"p":'),
                piece(0, "t-1", None, " 1}"),
                piece(0, "t-2", None, " 2}"),
            ],
            id="mixed",
        ),
        pytest.param(
            [
                piece(0, "t-1", "find", '{"q":'),
                piece(0, "", None, " 1}"),
                piece(1, "t-2", "read", '{"p": 2}'),
            ],
            id="an empty id",
        ),
        pytest.param(
            [
                piece(0, None, "find", '{"q":'),
                piece(0, "t-1", None, " 1}"),
                piece(0, "t-2", "read", '{"p": 2}'),
            ],
            id="the id comes late",
        ),
        pytest.param(
            [piece(None, "t-1", "find", '{"q": 1}'), piece(None, "t-2", "read", '{"p": 2}')],
            id="no index",
        ),
    ],
)
def test_a_new_id_begins_a_new_call_of_openai(model_api: ModelApi, pieces: list[Any]) -> None:
    """Two streamed calls stay two, whatever the server says about their index."""
    assert openai_result(model_api, pieces_of_chat(*pieces))["tool_calls"] == CALLS


def test_a_new_id_begins_a_new_item_of_a_response(model_api: ModelApi) -> None:
    """Finished items of a streamed response stay two, also where the end is missing."""
    listed: list[Any] = [{"type": "response.created", "response": response_body([])}]
    for call in CALLS:
        item = {
            "type": "function_call",
            "id": f"f-{call['id']}",
            "call_id": call["id"],
            "name": call["name"],
            "arguments": json.dumps(call["arguments"]),
        }
        listed.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(listed)]
    assert openai_result(model_api, numbered, responses=True)["tool_calls"] == CALLS


def test_a_new_id_begins_a_new_block_of_anthropic(model_api: ModelApi) -> None:
    """Two streamed blocks stay two, whatever the server says about their index."""
    head = anthropic_message([], stop_reason=None)
    listed: list[Any] = [{"type": "message_start", "message": head}]
    for call in CALLS:
        block = {"type": "tool_use", "id": call["id"], "name": call["name"], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call["arguments"])}
        listed += [
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
        ]
    usage = {"output_tokens": 2}
    end = {"stop_reason": "tool_use", "stop_sequence": None}
    listed += [{"type": "message_delta", "delta": end, "usage": usage}, {"type": "message_stop"}]
    assert anthropic_result(model_api, listed)["tool_calls"] == CALLS


def test_langchain_keeps_calls_apart_itself() -> None:
    """What is recorded is the message that LangChain has put together, in which they are two."""
    chunks = [
        AIMessageChunk(
            "",
            tool_call_chunks=[
                {
                    "type": "tool_call_chunk",
                    "index": 0,
                    "id": call["id"],
                    "name": call["name"],
                    "args": json.dumps(call["arguments"]),
                }
            ],
        )
        for call in CALLS
    ]
    whole: Any = chunks[0] + chunks[1]
    assert [call["id"] for call in whole.tool_calls] == ["t-1", "t-2"]


# --- Answers of the vendors -------------------------------------------------------------------


def chat_completion(message: dict[str, Any]) -> dict[str, Any]:
    """A chat completion with that message."""
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice]}


def response_body(output: list[Any]) -> dict[str, Any]:
    """A response with that output."""
    head = {"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
    more = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**head, **more, "output": output}


def anthropic_message(content: list[Any], **more: Any) -> dict[str, Any]:
    """A message with that content."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "usage": usage}
    return {**head, "content": content, "stop_reason": "tool_use", "stop_sequence": None, **more}
