"""Responses, embeddings and legacy completions of OpenAI have their own results."""

import json
from typing import Any

import openai
import pytest

from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from openai_fixture import TOKENS, begun, ended

__all__ = ["model_api"]
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
    """The Responses API is recorded with instructions, input, text, tool calls and token counts."""
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
    """Return the events of a streamed response, up to the given ones."""
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


async def test_a_response_stream_left_early_keeps_its_text(
    async_client: openai.AsyncOpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The response helper, left early, gives a cancelled span with the text so far."""
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
    """A failure that is sent as an event raises nothing in the host, and fails the span."""
    model_api.answer(events(last))
    with make_run(journal):
        list(client.responses.create(model="m-1", input="Hello", stream=True))
    assert ended(journal)["status"] == "failed"
    assert ended(journal)["result_payload"]["error"]["error_type"] == "server_error"
    assert ended(journal)["result_payload"]["error"]["message"] == "not today"


def test_embeddings_are_counted_and_not_copied(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A span has the number of vectors and dimensions, but no vectors."""
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
    """The old Completions API is recorded, whole and streamed."""
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
