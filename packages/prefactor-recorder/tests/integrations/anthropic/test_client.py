"""Calls of Anthropic's client to a fake server become spans."""

import json
from typing import Any

import anthropic
import pytest

from anthropic_fixture import ASKED, MESSAGES, STREAM, TOKENS, USAGE, begun, ended, message
from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.integrations import anthropic as recording

__all__ = ["model_api"]


def test_a_message_is_a_span(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Request and answer become payload and result, and cached tokens count as prompt."""
    model_api.answer(message())
    tool: Any = {"name": "find", "input_schema": {"type": "object"}}
    with make_run(journal) as run, run.span("agent:step") as step:
        client.messages.create(**ASKED, system="Be kind", tools=[tool], stop_sequences=["x"])
    span = journal.of_operation(Operation.CREATE_SPAN)[1]
    end = journal.of_operation(Operation.FINISH_SPAN)[0]
    assert span["schema_name"] == "anthropic:message"
    assert span["parent_span_id"] == step.id
    assert span["payload"] == {
        "model": "m-1",
        "system": "Be kind",
        "messages": MESSAGES,
        "tools": [tool],
        "parameters": {"max_tokens": 100, "stop_sequences": ["x"]},
    }
    assert end["status"] == "complete"
    assert end["result_payload"] == {
        "model": "m-1-2026",
        "response_id": "msg-1",
        "text": "Hi there",
        "finish_reason": "end_turn",
        "usage": USAGE,
        "token_usage": TOKENS,
        "request_id": "req-1",
    }


async def test_an_awaited_message_is_a_span(
    async_client: anthropic.AsyncAnthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The async client is recorded the same way."""
    model_api.answer(message())
    async with make_run(journal):
        await async_client.messages.create(**ASKED)
    assert ended(journal)["result_payload"]["token_usage"] == TOKENS


def test_the_beta_is_recorded_without_its_keys(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """`beta.messages` is recorded too, without keys of remote tools or of the client."""
    model_api.answer(message())
    server: Any = {
        "type": "url",
        "url": "https://tools.example",
        "name": "docs",
        "authorization_token": "tool-secret",
    }
    with make_run(journal):
        client.beta.messages.create(**ASKED, mcp_servers=[server], betas=["b-1"])
    assert begun(journal)["payload"]["mcp_servers"][0]["authorization_token"] == "[removed]"
    assert "secret" not in json.dumps(journal.as_dicts())
    assert ended(journal)["result_payload"]["text"] == "Hi there"


def test_blocks_other_than_text_are_kept(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Tool calls have names and arguments, and an answer with thinking is kept whole."""
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "t-1", "name": "find", "input": {"q": 1}},
    ]
    model_api.answer(message(*blocks, stop_reason="tool_use"))
    with make_run(journal):
        client.messages.create(**ASKED)
    result = ended(journal)["result_payload"]
    assert result["text"] == "Looking."
    assert result["tool_calls"] == [{"id": "t-1", "name": "find", "arguments": {"q": 1}}]
    assert result["finish_reason"] == "tool_use"
    assert result["content"][0] == blocks[0]


async def test_raw_and_streamed_responses_are_recorded(
    async_client: anthropic.AsyncAnthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Raw responses keep their headers and are recorded, whichever way they are read."""
    model_api.answer(message())
    model_api.answer(message())
    model_api.answer(STREAM)
    async with make_run(journal):
        raw = await async_client.messages.with_raw_response.create(**ASKED)
        assert raw.headers["request-id"] == "req-1"
        async with async_client.messages.with_streaming_response.create(**ASKED) as response:
            assert b"Hi there" in await response.read()
        async with async_client.messages.with_streaming_response.create(
            **ASKED, stream=True
        ) as response:
            async for _ in await response.parse():
                pass
    ends = journal.of_operation(Operation.FINISH_SPAN)
    assert [each["result_payload"]["text"] for each in ends] == ["Hi there"] * 3
    assert [each["result_payload"]["token_usage"] for each in ends] == [TOKENS] * 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (429, anthropic.RateLimitError),
        (529, anthropic.InternalServerError),
    ],
)
async def test_an_error_fails_the_span(
    async_client: anthropic.AsyncAnthropic,
    model_api: ModelApi,
    journal: RecordingJournal,
    status: int,
    error: type[anthropic.APIStatusError],
) -> None:
    """The host gets the error unchanged; the span has its message and request id."""
    model_api.answer({"type": "error", "error": {"message": "not today"}}, status=status)
    async with make_run(journal):
        with pytest.raises(error):
            await async_client.messages.create(**ASKED)
    result = ended(journal)["result_payload"]
    assert ended(journal)["status"] == "failed"
    assert "not today" in result["error"]["message"]
    assert (result["request_id"], result["status_code"]) == ("req-1", status)


def test_counting_tokens_is_not_recorded(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Counting tokens calls no model, and leaves no span."""
    model_api.answer({"input_tokens": 3})
    with make_run(journal):
        assert client.messages.count_tokens(model="m-1", messages=MESSAGES).input_tokens == 3
    assert journal.of_operation(Operation.CREATE_SPAN) == []


def test_a_terminated_run_makes_no_more_calls(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """In a run that has been terminated, the call raises before anything is sent."""
    with make_run(journal) as run:
        run.mark_terminated("too dear")
        with pytest.raises(RunTerminated, match="too dear"):
            client.messages.create(**ASKED)
    assert model_api.requests == []


def test_one_client_can_be_recorded_alone(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A single client is recorded, with its copies, and released again."""
    recording.uninstrument()
    recording.instrument_client(client)
    for asked in (client, client.with_options(timeout=5)):
        model_api.answer(message())
        with make_run(journal):
            asked.messages.create(**ASKED)
    recording.uninstrument_client(client)
    model_api.answer(message())
    with make_run(journal):
        client.messages.create(**ASKED)
    assert len(journal.of_operation(Operation.CREATE_SPAN)) == 2
