"""Raw and streamed HTTP responses of OpenAI's client are recorded."""

import openai

from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from openai_fixture import CHUNKS, MESSAGES, TOKENS, completion, ended
from prefactor_recorder.encoding.record import Operation

__all__ = ["model_api"]


def test_a_raw_response_is_recorded(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """`with_raw_response` still returns headers and parses, and records the same span."""
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
