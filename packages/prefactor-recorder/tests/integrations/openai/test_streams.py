"""Streamed responses of OpenAI's client become one span each."""

import asyncio
import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import openai
import pytest

from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from openai_fixture import CHUNKS, MESSAGES, TOKENS, USAGE, begun, chunk, ended
from prefactor_recorder.encoding.record import Operation

__all__ = ["model_api"]


def test_a_stream_is_one_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The span of a stream ends when the stream has been read, with its chunks joined."""
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


def test_a_stream_keeps_its_class(
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


def test_streamed_tool_calls_are_merged(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Interleaved chunks of several tool calls become calls with whole arguments."""

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


def test_an_interrupted_stream_has_failed(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A connection that breaks in the middle fails the span, which keeps the received part."""
    model_api.answer(CHUNKS[:2], cut=True)
    with make_run(journal):
        stream = client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True)
        with pytest.raises(Exception, match=r"peer closed connection|Connection error"):
            list(stream)
    assert ended(journal)["status"] == "failed"
    assert ended(journal)["result_payload"]["text"] == "Hi "
    assert ended(journal)["result_payload"]["error"]["message"]


def test_a_stream_closed_early_is_cancelled(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Closing a stream before the model was done cancels the span, which keeps what was read."""
    model_api.answer(CHUNKS)
    with make_run(journal):
        with client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True) as stream:
            for piece in stream:
                if piece.choices[0].delta.content == "Hi ":
                    break
            assert journal.of_operation(Operation.FINISH_SPAN) == []
        assert ended(journal)["status"] == "cancelled"
    assert ended(journal)["result_payload"]["text"] == "Hi "


def test_a_stream_closed_after_the_finish_reason_is_complete(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A stream that is closed after the model gave its finish reason is complete."""
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
    """A stream that is dropped unread ends its span when it is garbage-collected."""
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
    """A task that is cancelled while it waits for a stream leaves a cancelled span."""
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
    """The helper closes the response and not the stream, and the span still ends."""
    model_api.answer(CHUNKS)
    async with make_run(journal):
        async with async_client.chat.completions.stream(model="m-1", messages=MESSAGES) as stream:
            async for _ in stream:
                break
        assert ended(journal)["status"] == "cancelled"


def test_a_recorded_stream_is_bounded(
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


def test_a_stream_open_at_exit_prints_nothing(model_api: ModelApi, tmp_path: Path) -> None:
    """A program that ends in the middle of a stream prints nothing extra."""
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


def test_chunks_without_indexes_are_merged(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Chunks without indexes, as other servers of this API send them, are merged too."""
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
