"""Calls of Anthropic's client, real but for who answers, and the spans they leave."""

import gc
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest

from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.guard import failures
from prefactor_recorder.integrations import anthropic as recording
from prefactor_recorder.recorder import Recorder

__all__ = ["model_api"]

MESSAGES: Any = [{"role": "user", "content": "Hello"}]
ASKED: dict[str, Any] = {"model": "m-1", "max_tokens": 100, "messages": MESSAGES}
USAGE = {
    "input_tokens": 5,
    "cache_creation_input_tokens": 20,
    "cache_read_input_tokens": 100,
    "output_tokens": 2,
}
TOKENS = {"prompt_tokens": 125, "completion_tokens": 2, "total_tokens": 127}


def message(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A message as the API answers it."""
    return {
        "id": "msg-1",
        "type": "message",
        "role": "assistant",
        "model": "m-1-2026",
        "content": content or [{"type": "text", "text": "Hi there"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **more,
    }


def events(*blocks: list[dict[str, Any]], reason: str = "end_turn") -> list[Any]:
    """The events of a streamed message: of each block its start and then its deltas."""
    begun = {**USAGE, "output_tokens": 1}
    head = message(stop_reason=None, usage=begun) | {"content": []}
    listed: list[Any] = [{"type": "message_start", "message": head}, {"type": "ping"}]
    for index, (start, *deltas) in enumerate(blocks):
        listed.append({"type": "content_block_start", "index": index, "content_block": start})
        listed += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        listed.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": reason, "stop_sequence": None}
    listed.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}})
    return [*listed, {"type": "message_stop"}]


WORDS = [
    {"type": "text", "text": ""},
    {"type": "text_delta", "text": "Hi "},
    {"type": "text_delta", "text": "there"},
]
STREAM = events(WORDS)


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
def client(model_api: ModelApi) -> Iterator[anthropic.Anthropic]:
    """A client of the API on this machine."""
    with anthropic.Anthropic(api_key="sk-secret", base_url=model_api.url, max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(model_api: ModelApi) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The same, to be awaited."""
    async with anthropic.AsyncAnthropic(
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


def test_a_message_is_a_span(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Request and answer become payload and result; what the cache held counts as prompt."""
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
    """`beta.messages` is the same endpoint; keys of remote tools and of the client stay out."""
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


def test_blocks_that_are_no_words_are_kept(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Tool calls have names and arguments; an answer with thinking in it is kept whole."""
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
    """`messages.stream` is recorded once, and its texts and final message are what they were."""
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
    """A helper that is left early leaves a cancelled span with the words so far."""
    model_api.answer(STREAM)
    async with make_run(journal):
        async with async_client.messages.stream(**ASKED) as stream:
            async for text in stream.text_stream:
                assert text == "Hi "
                break
        assert ended(journal)["status"] == "cancelled"
    assert ended(journal)["result_payload"]["text"] == "Hi "


def test_streamed_blocks_are_put_together(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Thinking, citations and the arguments of a tool, streamed, are as they would be whole."""
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


def test_a_stream_that_is_cut_has_failed(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A connection that breaks in the middle fails the span, which keeps what had arrived."""
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
    """A stream that nobody reads, closes or keeps ends its span when it is collected."""
    model_api.answer(STREAM)
    with make_run(journal):
        stream = client.messages.create(**ASKED, stream=True)
        next(stream)
        del stream
        gc.collect()
        assert ended(journal)["status"] == "cancelled"


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
    """An error reaches the host as it is; the span has its message and request id."""
    model_api.answer({"type": "error", "error": {"message": "not today"}}, status=status)
    async with make_run(journal):
        with pytest.raises(error):
            await async_client.messages.create(**ASKED)
    result = ended(journal)["result_payload"]
    assert ended(journal)["status"] == "failed"
    assert "not today" in result["error"]["message"]
    assert (result["request_id"], result["status_code"]) == ("req-1", status)


def test_counting_tokens_is_left_alone(
    client: anthropic.Anthropic, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Counting asks no model anything, and leaves no span."""
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
    """A single client is recorded, with its copies, and let go again."""
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
