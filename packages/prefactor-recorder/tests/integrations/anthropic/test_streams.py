"""Streamed messages of Anthropic's client become one span each."""

import gc

import anthropic
import pytest

from anthropic_fixture import ASKED, STREAM, TOKENS, USAGE, WORDS, ended, events
from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from prefactor_recorder.encoding.record import Operation

__all__ = ["model_api"]


def test_a_stream_is_one_span(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The span of `create(stream=True)` ends when the stream has been read."""
    model_api.answer(STREAM)
    with make_run(journal):
        stream = client.messages.create(**ASKED, stream=True)
        assert isinstance(stream, anthropic.Stream)
        assert journal.of_operation(Operation.FINISH_SPAN) == []
        assert len(list(stream)) == len(STREAM) - 1
    result = ended(journal)["result_payload"]
    assert result.pop("time_to_first_token") > 0
    assert result == {
        "model": "m-1-2026",
        "response_id": "msg-1",
        "text": "Hi there",
        "finish_reason": "end_turn",
        "usage": USAGE,
        "token_usage": TOKENS,
        "request_id": "req-1",
    }


async def test_an_awaited_stream_is_one_span(
    async_client: anthropic.AsyncAnthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The async stream is recorded the same way."""
    model_api.answer(STREAM)
    async with make_run(journal):
        async for _ in await async_client.messages.create(**ASKED, stream=True):
            pass
    assert ended(journal)["result_payload"]["text"] == "Hi there"
    assert ended(journal)["status"] == "complete"


def test_the_stream_helper_is_one_span(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """`messages.stream` is recorded once, and its texts and final message are unchanged."""
    model_api.answer(STREAM)
    with make_run(journal), client.messages.stream(**ASKED) as stream:
        assert list(stream.text_stream) == ["Hi ", "there"]
        assert stream.get_final_text() == "Hi there"
        assert stream.request_id == "req-1"
    assert ended(journal)["result_payload"]["text"] == "Hi there"
    assert ended(journal)["status"] == "complete"


async def test_leaving_the_stream_helper_ends_the_span(
    async_client: anthropic.AsyncAnthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Leaving a helper early cancels its span, which keeps the text so far."""
    model_api.answer(STREAM)
    async with make_run(journal):
        async with async_client.messages.stream(**ASKED) as stream:
            async for text in stream.text_stream:
                assert text == "Hi "
                break
        assert ended(journal)["status"] == "cancelled"
    assert ended(journal)["result_payload"]["text"] == "Hi "


def test_streamed_blocks_are_merged(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Streamed thinking, citations and tool arguments are recorded as if sent whole."""
    citation = {
        "type": "char_location",
        "cited_text": "c",
        "document_index": 0,
        "document_title": None,
        "start_char_index": 0,
        "end_char_index": 1,
    }
    model_api.answer(
        events(
            [
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "Hm."},
                {"type": "signature_delta", "signature": "s"},
            ],
            [*WORDS, {"type": "citations_delta", "citation": citation}],
            [
                {"type": "tool_use", "id": "t-1", "name": "find", "input": {}},
                {"type": "input_json_delta", "partial_json": '{"q"'},
                {"type": "input_json_delta", "partial_json": ": 1}"},
            ],
            reason="tool_use",
        )
    )
    with make_run(journal):
        list(client.messages.create(**ASKED, stream=True))
    result = ended(journal)["result_payload"]
    assert result["tool_calls"] == [{"id": "t-1", "name": "find", "arguments": {"q": 1}}]
    assert result["content"][0] == {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    assert result["content"][1]["citations"] == [citation]


def test_an_interrupted_stream_has_failed(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A connection that breaks in the middle fails the span, which keeps the received part."""
    model_api.answer(STREAM[:4], cut=True)
    with make_run(journal):
        stream = client.messages.create(**ASKED, stream=True)
        with pytest.raises(Exception, match="peer closed connection"):
            list(stream)
    assert ended(journal)["status"] == "failed"
    assert ended(journal)["result_payload"]["text"] == "Hi "
    assert "peer closed" in ended(journal)["result_payload"]["error"]["message"]


def test_an_error_in_a_stream_fails_the_span(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """An error that the API sends as an event reaches the host and the span."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "not today"}}
    model_api.answer([*STREAM[:4], error])
    with make_run(journal), pytest.raises(anthropic.APIStatusError, match="not today"):
        list(client.messages.create(**ASKED, stream=True))
    assert ended(journal)["status"] == "failed"
    assert ended(journal)["result_payload"]["request_id"] == "req-1"


def test_a_dropped_stream_ends_its_span(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A stream that is dropped unread ends its span when it is garbage-collected."""
    model_api.answer(STREAM)
    with make_run(journal):
        stream = client.messages.create(**ASKED, stream=True)
        next(stream)
        del stream
        gc.collect()
        assert ended(journal)["status"] == "cancelled"
