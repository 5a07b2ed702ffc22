"""Streamed tool calls are kept apart in every integration."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk

from model_api import ModelApi, model_api
from tool_fixture import anthropic_message, anthropic_result, openai_result, response_body

__all__ = ["model_api"]


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
    """Two streamed calls stay separate, whatever index the server sends."""
    assert openai_result(model_api, pieces_of_chat(*pieces))["tool_calls"] == CALLS


def test_a_new_id_begins_a_new_item_of_a_response(model_api: ModelApi) -> None:
    """Finished items of a streamed response stay separate, even without the end event."""
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
    """Two streamed blocks stay separate, whatever index the server sends."""
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
    """The message that LangChain assembles is recorded, with two separate calls."""
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
