"""Data of the SDK's spans becomes payloads and results."""

from typing import Any

import agents
import orjson
import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
)
from openai import AsyncOpenAI

from model_api import ModelApi, model_api
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import the_span

__all__ = ["model_api"]
COMPLETION = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1-2026",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
RESPONSE = {
    "id": "r-1",
    "object": "response",
    "created_at": 1,
    "model": "m-1-2026",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "i-1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 5,
        "output_tokens": 2,
        "total_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
TOKENS = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


async def ask(api: ModelApi, model: Any, **more: Any) -> None:
    """Let an agent call a model through a real client."""
    async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key="sk-1", max_retries=0) as client:
        bot = Agent(name="bot", instructions="Be kind.", model=model("m-1", client))
        await Runner.run(bot, "Hello", **more)


async def test_a_chat_completions_call_is_recorded(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """Model, messages, answer and tokens are recorded, and no address or key."""
    model_api.answer(COMPLETION)
    with recorder.run():
        await ask(model_api, OpenAIChatCompletionsModel)

    call = the_span(recorder, "openai_agents:llm")
    assert call.payload["model"] == "m-1"
    assert call.result["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
    ]
    assert call.result["text"] == "Hi"
    assert call.result["token_usage"] == TOKENS
    assert model_api.url not in str(call)
    assert the_span(recorder, "openai_agents:task").result["totals"]["total_tokens"] == 7


async def test_a_responses_call_is_recorded(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """A Responses call has the same fields, although the SDK gives its input at the end."""
    model_api.answer(RESPONSE)
    with recorder.run():
        await ask(model_api, OpenAIResponsesModel)

    call = the_span(recorder, "openai_agents:llm")
    assert call.result["model"] == "m-1-2026"
    assert call.result["messages"] == [{"role": "user", "content": "Hello"}]
    assert call.result["text"] == "Hi"
    assert call.result["token_usage"] == TOKENS
    assert "usage" not in call.result


async def test_a_streamed_call_is_one_span(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """The chunks of a streamed answer are joined, with the tokens sent at the end."""
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1-2026"}
    deltas = [{"role": "assistant", "content": ""}, {"content": "H"}, {"content": "i"}]
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    model_api.answer(
        [
            *({**head, "choices": each} for each in choices),
            {**head, "choices": [], "usage": COMPLETION["usage"]},
            "[DONE]",
        ]
    )
    async with AsyncOpenAI(base_url=f"{model_api.url}/v1", api_key="sk-1") as client:
        bot = Agent(name="bot", model=OpenAIChatCompletionsModel("m-1", client))
        with recorder.run():
            running = Runner.run_streamed(bot, "Hello")
            async for _ in running.stream_events():
                pass

    call = the_span(recorder, "openai_agents:llm")
    assert call.result["text"] == "Hi"
    assert call.result["token_usage"] == TOKENS
    assert call.status == "complete"


async def test_a_failing_call_has_failed(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """A failed call is recorded with the vendor's exception and its message."""
    model_api.answer({"error": {"message": "no such model"}}, status=404)
    with recorder.run(), pytest.raises(Exception, match="no such model"):
        await ask(model_api, OpenAIResponsesModel)

    call = the_span(recorder, "openai_agents:llm")
    assert call.status == "failed"
    assert call.error["error_type"] == "NotFoundError"
    assert "no such model" in call.error["message"]
    assert the_span(recorder, "openai_agents:trace").status == "failed"


async def test_data_left_out_by_the_sdk_is_not_recorded(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """Without sensitive data no input, output or message of an exception is recorded."""
    config = RunConfig(trace_include_sensitive_data=False)
    model_api.answer(RESPONSE)
    model_api.answer({"error": {"message": "secret detail"}}, status=404)
    with recorder.run():
        await ask(model_api, OpenAIResponsesModel, run_config=config)
        with pytest.raises(Exception, match="secret detail"):
            await ask(model_api, OpenAIResponsesModel, run_config=config)

    everything = orjson.dumps([[each.payload, each.result] for each in recorder.spans]).decode()
    assert "Hello" not in everything
    assert '"Hi"' not in everything
    assert "secret detail" not in everything
    assert TOKENS in [each.result.get("token_usage") for each in recorder.spans]


def test_spans_of_the_host_are_recorded(recorder: InMemoryRecorder, processor: Any) -> None:
    """Custom spans, data added to them later, and traces around several runs are recorded."""
    with recorder.run(), agents.trace("work", group_id="g", metadata={"user": "u"}) as trace:
        with agents.custom_span("step", {"a": 1}) as step:
            step.span_data.data["b"] = 2
        with agents.generation_span(
            input=[{"role": "user", "content": "Hi"}],
            model="m-1",
            model_config={"temperature": 0, "base_url": "https://x"},
        ) as call:
            call.span_data.output = [{"role": "assistant", "content": "Hello"}]
        with agents.mcp_tools_span(server="files") as listing:
            listing.span_data.result = ["read"]

    assert the_span(recorder, "openai_agents:trace").payload == {
        "name": "work",
        "trace_id": trace.trace_id,
        "group_id": "g",
        "metadata": {"user": "u"},
    }
    step_told = the_span(recorder, "openai_agents:custom")
    assert step_told.payload == {"name": "step", "data": {"a": 1}}
    assert step_told.result == {"data": {"a": 1, "b": 2}}
    call_told = the_span(recorder, "openai_agents:llm")
    assert call_told.payload == {
        "model": "m-1",
        "parameters": {"temperature": 0},
        "messages": [{"role": "user", "content": "Hi"}],
    }
    assert call_told.result == {
        "text": "Hello",
        "output": [{"role": "assistant", "content": "Hello"}],
    }
    assert the_span(recorder, "openai_agents:mcp_list").result == {"tools": ["read"]}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ([{"role": "assistant", "content": None}], None),
        ([{"type": "function_call"}, {"content": [{"text": "Hel"}, {"text": "lo"}]}], "Hello"),
        ([RESPONSE], "Hi"),
        ("no list", None),
    ],
)
def test_the_text_of_an_answer_is_found(
    recorder: InMemoryRecorder, processor: Any, output: Any, text: str | None
) -> None:
    """The text is found in every form of answer that model classes give."""
    with recorder.run(), agents.trace("work"), agents.generation_span() as call:
        call.span_data.output = output

    assert the_span(recorder, "openai_agents:llm").result.get("text") == text
    assert the_span(recorder, "openai_agents:llm").status == "complete"


def test_speech_is_recorded_without_its_sound(recorder: InMemoryRecorder, processor: Any) -> None:
    """Of speech only the text is recorded, in both directions."""
    with recorder.run(), agents.trace("voice"):
        with agents.transcription_span(model="m-1", input="UklGRg==") as listener:
            listener.span_data.output = "Hello"
        with (
            agents.speech_group_span(input="Hi"),
            agents.speech_span(model="m-2", input="Hi") as said,
        ):
            said.span_data.output = "UklGRg=="

    assert the_span(recorder, "openai_agents:transcription").result == {"text": "Hello"}
    assert the_span(recorder, "openai_agents:speech").payload == {"model": "m-2", "input": "Hi"}
    assert "UklGRg" not in str([(each.payload, each.result) for each in recorder.spans])


def test_shared_and_circular_data_is_bounded(recorder: InMemoryRecorder, processor: Any) -> None:
    """Data that contains itself, or its parts many times over, is recorded up to a limit."""
    circle: list[Any] = [1]
    circle.append(circle)
    shared: Any = ["bottom"]
    for _ in range(30):
        shared = [shared, shared]
    with recorder.run(), agents.trace("work"):
        with agents.custom_span("step", {"circle": circle}):
            pass
        with agents.custom_span("step", {"shared": shared}):
            pass

    first, second = (each for each in recorder.spans if each.schema_name == "openai_agents:custom")
    assert first.payload["data"] == {"circle": [1, "..."]}
    assert second.payload["data"]["shared"]
    assert [first.status, second.status] == ["complete", "complete"]
