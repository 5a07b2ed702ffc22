"""Calls of models whose recording fails at every possible place."""

from collections.abc import Callable
from typing import Any

import openai
import pytest

from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.guard import failures
from prefactor_recorder.integrations._common.call import Endpoint, dump_model
from prefactor_recorder.integrations._common.patching import Vendor

__all__ = ["model_api"]

COMPLETION = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hi there"},
        }
    ],
}
CHUNKS = [
    {"id": "c-1", "object": "chat.completion.chunk", "model": "m-1", "choices": []},
    {"id": "c-1", "object": "chat.completion.chunk", "model": "m-1", "choices": []},
    "[DONE]",
]


class Pieces:
    """A merger that counts."""

    done = True

    def __init__(self) -> None:
        self.count = 0

    def add(self, piece: Any) -> bool:
        self.count += 1
        return True

    def merged(self) -> dict[str, Any]:
        return {"pieces": self.count}


class BrokenPieces(Pieces):
    """A merger that fails at each piece and at the end."""

    def add(self, piece: Any) -> bool:
        raise ValueError("no piece fits")

    def merged(self) -> dict[str, Any]:
        raise ValueError("nothing fits")


def broken(*_: Any) -> Any:
    """Raise."""
    raise ValueError("defect")


def endpoint(**changes: Any) -> Endpoint:
    """An endpoint that records everything, apart from the given changes."""
    everything: dict[str, Callable[..., Any]] = {
        "payload": dict,
        "body": dump_model,
        "result": dict,
        "merger": Pieces,
    }
    return Endpoint(schema_name="test:call", **{**everything, **changes})


BREAKS: list[dict[str, Any]] = [
    {"payload": broken},
    {"body": broken},
    {"result": broken},
    {"merger": broken},
    {"merger": BrokenPieces},
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("changes", BREAKS, ids=lambda each: "-".join(map(str, each)))
def test_a_recorder_failure_does_not_reach_the_host(
    model_api: ModelApi, changes: dict[str, Any], stream: bool
) -> None:
    """If recording a call fails, the call continues, and its span begins and ends."""
    vendor = Vendor("test", (openai.OpenAI,), {"/chat/completions": endpoint(**changes)})
    journal = RecordingJournal()
    failed = failures.count
    model_api.answer(CHUNKS if stream else COMPLETION)
    with openai.OpenAI(api_key="k", base_url=model_api.url, max_retries=0) as client:
        vendor.install_in(client)
        with make_run(journal):
            reply: Any = client.chat.completions.create(
                model="m-1", messages=[{"role": "user", "content": "Hello"}], stream=stream
            )
            if stream:
                assert len(list(reply)) == 2
            else:
                assert reply.choices[0].message.content == "Hi there"
            del reply
    assert len(journal.of_operation(Operation.CREATE_SPAN)) == 1
    assert len(journal.of_operation(Operation.FINISH_SPAN)) == 1
    needed = {"payload", "result"} | ({"merger"} if stream else {"body"})
    assert (failures.count > failed) == bool(needed & set(changes))


@pytest.mark.parametrize("stream", [False, True])
def test_a_failing_call_is_recorded_by_a_failing_recorder(
    model_api: ModelApi, stream: bool
) -> None:
    """A failing call leaves a failed span, even if none of its answer can be recorded."""
    broken_endpoint = endpoint(result=broken, merger=BrokenPieces)
    vendor = Vendor("test", (openai.OpenAI,), {"/chat/completions": broken_endpoint})
    journal = RecordingJournal()
    model_api.answer({"error": {"message": "not today"}}, status=400)
    with openai.OpenAI(api_key="k", base_url=model_api.url, max_retries=0) as client:
        vendor.install_in(client)
        with make_run(journal), pytest.raises(openai.BadRequestError, match="not today"):
            client.chat.completions.create(
                model="m-1", messages=[{"role": "user", "content": "Hello"}], stream=stream
            )
    (ended,) = journal.of_operation(Operation.FINISH_SPAN)
    assert ended["status"] == "failed"
    assert ended["result_payload"]["error"]["error_type"] == "BadRequestError"
