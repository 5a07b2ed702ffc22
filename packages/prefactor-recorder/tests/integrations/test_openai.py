"""Calls of OpenAI's client, real but for who answers, and the spans they leave."""

import asyncio
import gc
import inspect
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.guard import failures
from prefactor_recorder.integrations import openai as recording
from prefactor_recorder.recorder import Recorder

__all__ = ["model_api"]

MESSAGES: Any = [{"role": "user", "content": "Hello"}]
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
TOKENS = USAGE
TOOL: Any = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


def completion(message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A chat completion as the API answers it."""
    said = message or {"role": "assistant", "content": "Hi there"}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": said}],
        "usage": USAGE,
        **more,
    }


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk of a streamed chat completion."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1-2026",
        "choices": choices,
        **more,
    }


CHUNKS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hi "}),
    chunk({"content": "there"}),
    chunk({}, "stop"),
    chunk(None, usage=USAGE),
    "[DONE]",
]


@pytest.fixture
def journal() -> RecordingJournal:
    """A journal to read the story from."""
    return RecordingJournal()


@pytest.fixture(autouse=True)
def instrumented() -> Iterator[None]:
    """Every client's calls are recorded, and nothing of the recorder fails meanwhile."""
    failed = failures.count
    recording.instrument(Recorder(enabled=False))
    yield
    recording.uninstrument()
    assert failures.count == failed


@pytest.fixture
def client(model_api: ModelApi) -> Iterator[openai.OpenAI]:
    """A client of the API on this machine."""
    with openai.OpenAI(api_key="sk-secret", base_url=model_api.url, max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(model_api: ModelApi) -> AsyncIterator[openai.AsyncOpenAI]:
    """The same, to be awaited."""
    async with openai.AsyncOpenAI(
        api_key="sk-secret", base_url=model_api.url, max_retries=0
    ) as made:
        yield made


def begun(journal: RecordingJournal) -> dict[str, Any]:
    """The one span that began."""
    (span,) = journal.of_operation(Operation.CREATE_SPAN)
    return span


def ended(journal: RecordingJournal) -> dict[str, Any]:
    """The one span that ended."""
    (span,) = journal.of_operation(Operation.FINISH_SPAN)
    return span


def test_a_chat_completion_is_a_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Request and answer become payload and result, with token counts, below the current span."""
    model_api.answer(completion())
    with make_run(journal) as run, run.span("agent:step") as step:
        reply = client.chat.completions.create(
            model="m-1", messages=MESSAGES, temperature=0.5, tools=[TOOL]
        )
    create, _ = journal.of_operation(Operation.FINISH_SPAN)
    span = journal.of_operation(Operation.CREATE_SPAN)[1]
    assert reply.choices[0].message.content == "Hi there"
    assert span["schema_name"] == "openai:chat"
    assert span["parent_span_id"] == step.id
    assert span["payload"] == {
        "model": "m-1",
        "messages": MESSAGES,
        "tools": [TOOL],
        "parameters": {"temperature": 0.5},
    }
    assert create["status"] == "complete"
    assert create["result_payload"] == {
        "model": "m-1-2026",
        "response_id": "c-1",
        "text": "Hi there",
        "finish_reason": "stop",
        "usage": USAGE,
        "token_usage": TOKENS,
        "request_id": "req-1",
    }


async def test_an_awaited_chat_completion_is_a_span(
    async_client: openai.AsyncOpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The async client is recorded the same way."""
    model_api.answer(completion())
    async with make_run(journal):
        await async_client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert ended(journal)["result_payload"]["text"] == "Hi there"
    assert ended(journal)["result_payload"]["token_usage"] == TOKENS


def test_no_key_and_no_header_is_kept(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Neither the client's key, nor headers, nor the key of a remote tool come into a span."""
    model_api.answer(completion())
    tool: Any = {
        "type": "mcp",
        "server_label": "docs",
        "authorization": "tool-secret",
        "headers": {"x": "tool-secret"},
    }
    with make_run(journal):
        client.chat.completions.create(
            model="m-1",
            messages=MESSAGES,
            tools=[tool],
            extra_headers={"x-tenant": "header-secret"},
            extra_body={"seed_of_mine": 3},
        )
    assert "secret" not in json.dumps(journal.as_dicts())
    assert begun(journal)["payload"]["tools"][0]["authorization"] == "[removed]"
    assert begun(journal)["payload"]["parameters"] == {"seed_of_mine": 3}
    assert model_api.requests[0].body["tools"] == [tool]


def test_tool_calls_are_told(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Calls of functions have a name and their arguments, taken apart if they are JSON."""
    calls = [
        {"id": "t-1", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}},
        {"id": "t-2", "type": "function", "function": {"name": "find", "arguments": "{oops"}},
    ]
    model_api.answer(completion({"role": "assistant", "content": None, "tool_calls": calls}))
    with make_run(journal):
        client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert ended(journal)["result_payload"]["tool_calls"] == [
        {"id": "t-1", "name": "find", "arguments": {"q": 1}},
        {"id": "t-2", "name": "find", "arguments": "{oops"},
    ]


@pytest.mark.parametrize(
    ("message", "choices"),
    [({"refusal": "No."}, 1), ({"content": "A", "annotations": []}, 0)],
)
def test_a_choice_that_says_more_is_kept_whole(
    client: openai.OpenAI,
    model_api: ModelApi,
    journal: RecordingJournal,
    message: dict[str, Any],
    choices: int,
) -> None:
    """What words and tool calls do not tell, such as a refusal, keeps all choices as they came."""
    model_api.answer(completion({"role": "assistant", "content": None, **message}))
    with make_run(journal):
        client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert len(ended(journal)["result_payload"].get("choices", [])) == choices


def test_a_stream_is_one_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The span of a stream ends when it has been read, with its pieces put together."""
    model_api.answer(CHUNKS)
    with make_run(journal):
        stream = client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True)
        assert journal.of_operation(Operation.FINISH_SPAN) == []
        pieces = [piece.choices[0].delta.content for piece in stream if piece.choices]
    assert pieces == ["", "Hi ", "there", None]
    result = ended(journal)["result_payload"]
    assert result.pop("time_to_first_token") > 0
    assert result == {
        "model": "m-1-2026",
        "response_id": "c-1",
        "text": "Hi there",
        "finish_reason": "stop",
        "usage": USAGE,
        "token_usage": TOKENS,
        "request_id": "req-1",
    }
    assert ended(journal)["status"] == "complete"
    assert begun(journal)["payload"]["parameters"] == {"stream": True}


async def test_an_awaited_stream_is_one_span(
    async_client: openai.AsyncOpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The async stream is recorded the same way."""
    model_api.answer(CHUNKS)
    async with make_run(journal):
        stream = await async_client.chat.completions.create(
            model="m-1", messages=MESSAGES, stream=True
        )
        assert len([piece async for piece in stream]) == 5
    assert ended(journal)["result_payload"]["text"] == "Hi there"
    assert ended(journal)["status"] == "complete"


def test_a_stream_is_still_the_vendors(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A recorded stream is an instance of its class, with its attributes, `next` and `with`."""
    model_api.answer(CHUNKS)
    with (
        make_run(journal),
        client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True) as stream,
    ):
        assert isinstance(stream, openai.Stream)
        assert type(stream).__name__ == "Stream"
        assert stream.response.headers["x-request-id"] == "req-1"
        assert next(stream).choices[0].delta.content == ""
        assert [piece.choices[0].delta.content for piece in stream if piece.choices][:1] == ["Hi "]
        with pytest.raises(StopIteration):
            next(stream)
    assert ended(journal)["result_payload"]["text"] == "Hi there"


def test_streamed_tool_calls_are_put_together(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Pieces of several tool calls, mixed, end up as calls with whole arguments."""

    def call(index: int, **function: str) -> dict[str, Any]:
        identifier = {"id": f"t-{index}"} if "name" in function else {}
        return {"tool_calls": [{"index": index, **identifier, "function": function}]}

    model_api.answer(
        [
            chunk(call(0, name="find", arguments="")),
            chunk(call(1, name="read", arguments='{"p":')),
            chunk(call(0, arguments='{"q": "a"}')),
            chunk(call(1, arguments=" 2}")),
            chunk({}, "tool_calls"),
            "[DONE]",
        ]
    )
    with make_run(journal):
        list(client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True))
    result = ended(journal)["result_payload"]
    assert result["tool_calls"] == [
        {"id": "t-0", "name": "find", "arguments": {"q": "a"}},
        {"id": "t-1", "name": "read", "arguments": {"p": 2}},
    ]
    assert result["finish_reason"] == "tool_calls"


def test_a_stream_that_is_cut_has_failed(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A connection that breaks in the middle fails the span, which keeps what had arrived."""
    model_api.answer(CHUNKS[:2], cut=True)
    with make_run(journal):
        stream = client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True)
        with pytest.raises(Exception, match=r"peer closed connection|Connection error"):
            list(stream)
    assert ended(journal)["status"] == "failed"
    assert ended(journal)["result_payload"]["text"] == "Hi "
    assert ended(journal)["result_payload"]["error"]["message"]


def test_a_stream_that_is_left_is_cancelled(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Closing a stream before the model was done ends the span as cancelled, with what was read."""
    model_api.answer(CHUNKS)
    with make_run(journal):
        with client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True) as stream:
            for piece in stream:
                if piece.choices[0].delta.content == "Hi ":
                    break
            assert journal.of_operation(Operation.FINISH_SPAN) == []
        assert ended(journal)["status"] == "cancelled"
    assert ended(journal)["result_payload"]["text"] == "Hi "


def test_a_stream_left_after_the_last_word_is_complete(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Not waiting for what comes after the model's reason to stop is no cancellation."""
    model_api.answer(CHUNKS)
    with (
        make_run(journal),
        client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True) as stream,
    ):
        for piece in stream:
            if piece.choices[0].finish_reason:
                break
    assert ended(journal)["status"] == "complete"


def test_a_dropped_stream_ends_its_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A stream that nobody reads, closes or keeps ends its span when it is collected."""
    model_api.answer(CHUNKS)
    with make_run(journal):
        stream = client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True)
        next(stream)
        del stream
        gc.collect()
        assert ended(journal)["status"] == "cancelled"


async def test_a_cancelled_call_is_cancelled(
    async_client: openai.AsyncOpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A task that is cancelled while a stream keeps it waiting leaves a cancelled span."""
    gate = threading.Event()
    model_api.answer(CHUNKS[:3], gate=gate)
    seen = asyncio.Event()

    async def read() -> None:
        stream = await async_client.chat.completions.create(
            model="m-1", messages=MESSAGES, stream=True
        )
        async for _ in stream:
            seen.set()

    async with make_run(journal):
        task = asyncio.create_task(read())
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
    assert ended(journal)["status"] == "cancelled"


def test_the_stream_helper_is_one_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """`chat.completions.stream` is recorded once, and works as before."""
    model_api.answer(CHUNKS)
    with (
        make_run(journal),
        client.chat.completions.stream(model="m-1", messages=MESSAGES) as stream,
    ):
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta"} <= kinds
    assert final.choices[0].message.content == "Hi there"
    assert ended(journal)["result_payload"]["text"] == "Hi there"


async def test_leaving_the_stream_helper_ends_the_span(
    async_client: openai.AsyncOpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The helper closes the response and not the stream; the span ends all the same."""
    model_api.answer(CHUNKS)
    async with make_run(journal):
        async with async_client.chat.completions.stream(model="m-1", messages=MESSAGES) as stream:
            async for _ in stream:
                break
        assert ended(journal)["status"] == "cancelled"


class Point(BaseModel):
    """What a model is asked for."""

    x: int


def test_a_parsed_completion_is_one_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """`parse` is recorded once, with the host's own model in the reply left alone."""
    model_api.answer(completion({"role": "assistant", "content": '{"x": 3}'}))
    with make_run(journal):
        reply = client.chat.completions.parse(model="m-1", messages=MESSAGES, response_format=Point)
    assert reply.choices[0].message.parsed == Point(x=3)
    assert ended(journal)["result_payload"]["text"] == '{"x": 3}'
    assert "choices" not in ended(journal)["result_payload"]
    assert "response_format" in begun(journal)["payload"]["parameters"]


def test_a_raw_response_is_recorded(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """`with_raw_response` still answers with headers and parses, and leaves the same span."""
    model_api.answer(completion())
    with make_run(journal):
        raw = client.chat.completions.with_raw_response.create(model="m-1", messages=MESSAGES)
        assert raw.headers["x-request-id"] == "req-1"
        assert raw.parse().choices[0].message.content == "Hi there"
    assert ended(journal)["result_payload"]["token_usage"] == TOKENS
    assert ended(journal)["result_payload"]["request_id"] == "req-1"


async def test_a_raw_stream_is_recorded(
    async_client: openai.AsyncOpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A stream that is parsed from a raw response ends its span when it has been read."""
    model_api.answer(CHUNKS)
    async with make_run(journal):
        raw = await async_client.chat.completions.with_raw_response.create(
            model="m-1", messages=MESSAGES, stream=True
        )
        assert journal.of_operation(Operation.FINISH_SPAN) == []
        assert len([piece async for piece in raw.parse()]) == 5
    assert ended(journal)["result_payload"]["text"] == "Hi there"


def test_a_streamed_response_is_recorded(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """`with_streaming_response` is recorded when its body is parsed, read or left alone."""
    texts = []
    for use in ("parse", "json", "iter_bytes"):
        model_api.answer(completion())
        with (
            make_run(journal),
            client.chat.completions.with_streaming_response.create(
                model="m-1", messages=MESSAGES
            ) as response,
        ):
            value = getattr(response, use)()
            if use == "iter_bytes":
                assert b"Hi there" in b"".join(value)
        texts.append(journal.of_operation(Operation.FINISH_SPAN)[-1]["result_payload"].get("text"))
    assert texts == ["Hi there", "Hi there", None]
    assert [each["status"] for each in journal.of_operation(Operation.FINISH_SPAN)] == [
        "complete"
    ] * 3


async def test_an_awaited_streamed_response_is_recorded(
    async_client: openai.AsyncOpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The same for the async client, whose methods are awaited."""
    model_api.answer(completion())
    model_api.answer(CHUNKS)
    async with make_run(journal):
        async with async_client.chat.completions.with_streaming_response.create(
            model="m-1", messages=MESSAGES
        ) as response:
            assert (await response.parse()).choices[0].message.content == "Hi there"
        async with async_client.chat.completions.with_streaming_response.create(
            model="m-1", messages=MESSAGES, stream=True
        ) as response:
            async for _ in await response.parse():
                pass
    results = [
        each["result_payload"]["text"] for each in journal.of_operation(Operation.FINISH_SPAN)
    ]
    assert results == ["Hi there", "Hi there"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_an_error_fails_the_span(
    client: openai.OpenAI,
    model_api: ModelApi,
    journal: RecordingJournal,
    status: int,
    error: type[openai.APIStatusError],
) -> None:
    """An error reaches the host as it is; the span has its type, message and request id."""
    model_api.answer({"error": {"message": "not today"}}, status=status)
    with make_run(journal), pytest.raises(error):
        client.chat.completions.create(model="m-1", messages=MESSAGES)
    result = ended(journal)["result_payload"]
    assert ended(journal)["status"] == "failed"
    assert result["error"]["error_type"] == error.__name__
    assert "not today" in result["error"]["message"]
    assert (result["request_id"], result["status_code"]) == ("req-1", status)


def test_retries_are_one_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """What the client tries again by itself is one call."""
    model_api.answer({"error": {}}, status=500, headers={"retry-after-ms": "1"})
    model_api.answer(completion())
    with make_run(journal):
        client.with_options(max_retries=2).chat.completions.create(model="m-1", messages=MESSAGES)
    assert len(model_api.requests) == 2
    assert ended(journal)["status"] == "complete"


RESPONSE: dict[str, Any] = {
    "id": "r-1",
    "object": "response",
    "created_at": 1,
    "model": "m-1-2026",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "o-1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi there", "annotations": []}],
        },
        {
            "type": "function_call",
            "id": "o-2",
            "call_id": "t-1",
            "name": "find",
            "arguments": '{"q": 1}',
            "status": "completed",
        },
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7,
    },
}


def test_a_response_is_a_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The Responses API is recorded with instructions, input, words, calls and counts."""
    model_api.answer(RESPONSE)
    with make_run(journal):
        client.responses.create(model="m-1", input="Hello", instructions="Be kind", store=False)
    assert begun(journal)["schema_name"] == "openai:response"
    assert begun(journal)["payload"] == {
        "model": "m-1",
        "instructions": "Be kind",
        "input": "Hello",
        "parameters": {"store": False},
    }
    assert ended(journal)["result_payload"] == {
        "model": "m-1-2026",
        "response_id": "r-1",
        "text": "Hi there",
        "tool_calls": [{"id": "t-1", "name": "find", "arguments": {"q": 1}}],
        "finish_reason": "completed",
        "usage": RESPONSE["usage"],
        "token_usage": TOKENS,
        "request_id": "req-1",
    }


def events(*ends: dict[str, Any]) -> list[Any]:
    """The events of a streamed response, up to those."""
    started = {**RESPONSE, "status": "in_progress", "output": []}
    place = {"item_id": "o-1", "output_index": 0, "content_index": 0}
    text = {"type": "response.output_text.delta", **place, "logprobs": []}
    listed = [
        {"type": "response.created", "response": started},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "message", "id": "o-1", "content": [], "role": "assistant"},
        },
        {
            "type": "response.content_part.added",
            **place,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        {**text, "delta": "Hi "},
        {**text, "delta": "there"},
        *ends,
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(listed)]


def test_a_streamed_response_api_call_is_a_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The last event of a streamed response holds the result."""
    model_api.answer(events({"type": "response.completed", "response": RESPONSE}))
    with make_run(journal):
        list(client.responses.create(model="m-1", input="Hello", stream=True))
    result = ended(journal)["result_payload"]
    assert (result["text"], result["token_usage"]) == ("Hi there", TOKENS)
    assert result["time_to_first_token"] > 0


async def test_a_response_stream_that_is_left_keeps_what_arrived(
    async_client: openai.AsyncOpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The helper for responses, left early, is a cancelled span with the words so far."""
    model_api.answer(events({"type": "response.completed", "response": RESPONSE}))
    async with (
        make_run(journal),
        async_client.responses.stream(model="m-1", input="Hello") as stream,
    ):
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
    assert ended(journal)["status"] == "cancelled"
    assert ended(journal)["result_payload"]["text"] == "Hi "


@pytest.mark.parametrize(
    "last",
    [
        {
            "type": "response.failed",
            "response": {
                **RESPONSE,
                "status": "failed",
                "error": {"code": "server_error", "message": "not today"},
            },
        },
        {"type": "error", "code": "server_error", "message": "not today", "param": None},
    ],
)
def test_a_response_that_failed_fails_the_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal, last: dict[str, Any]
) -> None:
    """A failure that arrives as an event is no exception for the host, but a failed span."""
    model_api.answer(events(last))
    with make_run(journal):
        list(client.responses.create(model="m-1", input="Hello", stream=True))
    assert ended(journal)["status"] == "failed"
    assert ended(journal)["result_payload"]["error"]["error_type"] == "server_error"
    assert ended(journal)["result_payload"]["error"]["message"] == "not today"


def test_embeddings_are_counted_and_not_copied(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A span says how many vectors of how many dimensions there were, and has none of them."""
    vector = {"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    model_api.answer({"object": "list", "model": "e-1", "data": [vector] * 3, "usage": usage})
    with make_run(journal):
        client.embeddings.create(model="e-1", input=["a", "b", "c"], encoding_format="float")
    assert begun(journal)["schema_name"] == "openai:embedding"
    assert begun(journal)["payload"]["input"] == ["a", "b", "c"]
    result = ended(journal)["result_payload"]
    assert (result["vectors"], result["dimensions"]) == (3, 2)
    assert result["token_usage"] == {"prompt_tokens": 4, "completion_tokens": 0, "total_tokens": 4}
    assert "0.25" not in json.dumps(result)


@pytest.mark.parametrize("stream", [False, True])
def test_a_legacy_completion_is_a_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal, stream: bool
) -> None:
    """The old Completions are recorded, whole and streamed."""
    head = {"id": "c-1", "object": "text_completion", "created": 1, "model": "m-0"}
    pieces = ["Hi ", "there"] if stream else ["Hi there"]
    bodies: list[Any] = [
        {**head, "choices": [{"index": 0, "text": text, "finish_reason": finish}]}
        for text, finish in zip(
            pieces, ["stop"] if len(pieces) == 1 else [None, "stop"], strict=True
        )
    ]
    model_api.answer([*bodies, "[DONE]"] if stream else bodies[0])
    with make_run(journal):
        reply = client.completions.create(model="m-0", prompt="Hello", stream=stream)
        if stream:
            list(reply)
    assert begun(journal)["schema_name"] == "openai:completion"
    assert begun(journal)["payload"]["prompt"] == "Hello"
    assert ended(journal)["result_payload"]["text"] == "Hi there"


def test_what_is_kept_of_a_stream_is_bounded(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Of an endless answer the first million characters are kept, and the span says so."""
    model_api.answer([*[chunk({"content": "x" * 300_000})] * 4, chunk({}, "stop"), "[DONE]"])
    with make_run(journal, limit=2_000_000):
        stream = client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True)
        assert len(list(stream)) == 5
    result = ended(journal)["result_payload"]
    assert result["text"] == "x" * 1_000_000
    assert result["stream_truncated"] is True
    assert result["finish_reason"] == "stop"


def test_outside_of_a_run_nothing_is_recorded(client: openai.OpenAI, model_api: ModelApi) -> None:
    """A call outside of every run is made as if nobody recorded anything."""
    model_api.answer(completion())
    reply = client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert reply.choices[0].message.content == "Hi there"


def test_a_terminated_run_makes_no_more_calls(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """In a run that has been terminated, the call raises before anything is sent."""
    with make_run(journal) as run:
        run.mark_terminated("too dear")
        with pytest.raises(RunTerminated, match="too dear"):
            client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert model_api.requests == []


def test_instrumenting_is_idempotent_and_reversible(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Twice is once; afterwards the client is as it was; signatures stay what they are."""
    recording.uninstrument()
    before = openai.OpenAI.request
    signature = inspect.signature(openai.OpenAI.request)
    recording.instrument(Recorder(enabled=False))
    recording.instrument(Recorder(enabled=False))
    assert inspect.signature(openai.OpenAI.request) == signature
    model_api.answer(completion())
    with make_run(journal):
        client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert len(journal.of_operation(Operation.CREATE_SPAN)) == 1
    recording.uninstrument()
    recording.uninstrument()
    assert openai.OpenAI.request is before


def test_a_patch_on_top_of_ours_survives(
    client: openai.OpenAI,
    model_api: ModelApi,
    journal: RecordingJournal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrapper put around the client after ours keeps working when we leave."""
    owner = next(kind for kind in openai.OpenAI.__mro__ if "request" in vars(kind))
    inner = vars(owner)["request"]

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return inner(self, *args, **kwargs)

    monkeypatch.setattr(owner, "request", wrapped)
    recording.uninstrument()
    model_api.answer(completion())
    model_api.answer(completion())
    with make_run(journal):
        client.chat.completions.create(model="m-1", messages=MESSAGES)
        assert journal.of_operation(Operation.CREATE_SPAN) == []
        recording.instrument(Recorder(enabled=False))
        client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert len(journal.of_operation(Operation.CREATE_SPAN)) == 1


def test_one_client_can_be_recorded_alone(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A single client is recorded with the copies made of it, once even if all are, and let go."""
    recording.uninstrument()
    kind = type(client)
    assert recording.instrument_client(recording.instrument_client(client)) is client
    assert isinstance(client, openai.OpenAI)
    with (
        make_run(journal),
        openai.OpenAI(api_key="k", base_url=model_api.url) as another,
    ):
        for asked in (client, client.with_options(timeout=5), another):
            model_api.answer(completion())
            asked.chat.completions.create(model="m-1", messages=MESSAGES)
        assert len(journal.of_operation(Operation.CREATE_SPAN)) == 2
        recording.instrument(Recorder(enabled=False))
        model_api.answer(completion())
        client.chat.completions.create(model="m-1", messages=MESSAGES)
        assert len(journal.of_operation(Operation.CREATE_SPAN)) == 3
    recording.uninstrument_client(client)
    recording.uninstrument_client(client)
    assert type(client) is kind


def test_an_answer_nobody_expected_ends_the_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """An answer of another shape is the host's to deal with; its span ends with what is known."""
    model_api.answer({"choices": "none", "usage": [1]})
    with make_run(journal):
        client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert ended(journal)["result_payload"] == {"request_id": "req-1"}


async def test_azure_and_wrapped_clients_are_recorded(
    model_api: ModelApi, journal: RecordingJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients of other clouds are recorded, and clients whose `request` somebody has wrapped."""
    recording.uninstrument()
    owner = next(kind for kind in openai.AsyncOpenAI.__mro__ if "request" in vars(kind))
    inner = vars(owner)["request"]

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return inner(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(owner, "request", wrapped)
        recording.instrument(Recorder(enabled=False))
        model_api.answer(completion())
        async with (
            make_run(journal),
            openai.AsyncAzureOpenAI(
                api_key="sk-secret", azure_endpoint=model_api.url, api_version="2026-01-01"
            ) as client,
        ):
            await client.chat.completions.create(model="m-1", messages=MESSAGES)
        recording.uninstrument()
    assert "/deployments/m-1/" in model_api.requests[0].path
    assert ended(journal)["result_payload"]["text"] == "Hi there"


def test_an_answer_that_cannot_be_parsed_keeps_its_tokens(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """An answer that was cut by a limit raises in `parse`; what it said and cost is recorded."""
    body = completion({"role": "assistant", "content": '{"x":'})
    body["choices"][0]["finish_reason"] = "length"
    model_api.answer(body)
    with make_run(journal), pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model="m-1", messages=MESSAGES, response_format=Point)
    result = ended(journal)["result_payload"]
    assert ended(journal)["status"] == "failed"
    assert (result["finish_reason"], result["token_usage"]) == ("length", TOKENS)
    assert result["error"]["error_type"] == "LengthFinishReasonError"


def test_a_stream_that_is_open_at_exit_disturbs_nobody(model_api: ModelApi, tmp_path: Path) -> None:
    """A program that ends in the middle of a stream ends as it would otherwise, in silence."""
    model_api.answer(CHUNKS)
    program = f"""
import openai
from prefactor_recorder.integrations.openai import instrument
from prefactor_recorder.testing import InMemoryRecorder

recorder = InMemoryRecorder()
instrument(recorder)
client = openai.OpenAI(api_key="k", base_url={model_api.url!r})
with recorder.run():
    stream = client.chat.completions.create(
        model="m-1", messages=[{{"role": "user", "content": "Hello"}}], stream=True
    )
    print(len([next(stream), next(stream)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


def test_servers_that_leave_things_out_are_understood(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Chunks without indexes, as other servers of this API send them, are put together, too."""
    calls = [
        {"id": f"t-{number}", "function": {"name": "find", "arguments": f'{{"q": {number}}}'}}
        for number in (1, 2)
    ]
    model_api.answer(
        [
            {"choices": [{"delta": {"reasoning_content": "Hm."}}]},
            {"choices": [{"delta": {"content": "Hi"}}]},
            {"choices": [{"delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]},
            "[DONE]",
        ]
    )
    with make_run(journal):
        list(client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True))
    result = ended(journal)["result_payload"]
    assert result["text"] == "Hi"
    assert [call["arguments"] for call in result["tool_calls"]] == [{"q": 1}, {"q": 2}]
    assert result["choices"][0]["message"]["reasoning_content"] == "Hm."


def test_the_first_call_outside_of_a_run_is_warned_about(
    model_api: ModelApi, tmp_path: Path
) -> None:
    """Two calls outside of every run leave one warning, which says what to do."""
    model_api.answer(completion())
    model_api.answer(completion())
    program = f"""
import openai
from prefactor_recorder.integrations.openai import instrument
from prefactor_recorder.testing import InMemoryRecorder

instrument(InMemoryRecorder())
client = openai.OpenAI(api_key="k", base_url={model_api.url!r})
for _ in range(2):
    client.chat.completions.create(model="m", messages=[{{"role": "user", "content": "Hello"}}])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stderr.count("outside a run") == 1
    assert "with recorder.run(...)" in done.stderr
