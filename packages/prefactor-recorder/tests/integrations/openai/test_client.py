"""Calls of OpenAI's client to a fake server become spans."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi, model_api
from openai_fixture import MESSAGES, TOKENS, USAGE, begun, completion, ended
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.integrations import openai as recording
from prefactor_recorder.recorder import Recorder

__all__ = ["model_api"]
TOOL: Any = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


def test_a_chat_completion_is_a_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """Request and answer become payload and result, with tokens, below the current span."""
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


def test_keys_and_headers_are_not_recorded(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A span has no key of the client or of a remote tool, and no headers."""
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


def test_tool_calls_are_recorded(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """A function call has a name, and its arguments are parsed if they are JSON."""
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
def test_other_choices_are_kept_whole(
    client: openai.OpenAI,
    model_api: ModelApi,
    journal: RecordingJournal,
    message: dict[str, Any],
    choices: int,
) -> None:
    """Choices with more than text and tool calls, such as a refusal, are kept unchanged."""
    model_api.answer(completion({"role": "assistant", "content": None, **message}))
    with make_run(journal):
        client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert len(ended(journal)["result_payload"].get("choices", [])) == choices


class Point(BaseModel):
    """The output type that a model must return."""

    x: int


def test_a_parsed_completion_is_one_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """`parse` is recorded once, and the host's model in the reply is unchanged."""
    model_api.answer(completion({"role": "assistant", "content": '{"x": 3}'}))
    with make_run(journal):
        reply = client.chat.completions.parse(model="m-1", messages=MESSAGES, response_format=Point)
    assert reply.choices[0].message.parsed == Point(x=3)
    assert ended(journal)["result_payload"]["text"] == '{"x": 3}'
    assert "choices" not in ended(journal)["result_payload"]
    assert "response_format" in begun(journal)["payload"]["parameters"]


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
    """The host gets the error unchanged; the span has its type, message and request id."""
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
    """The client's own retries count as one call."""
    model_api.answer({"error": {}}, status=500, headers={"retry-after-ms": "1"})
    model_api.answer(completion())
    with make_run(journal):
        client.with_options(max_retries=2).chat.completions.create(model="m-1", messages=MESSAGES)
    assert len(model_api.requests) == 2
    assert ended(journal)["status"] == "complete"


def test_outside_of_a_run_nothing_is_recorded(client: openai.OpenAI, model_api: ModelApi) -> None:
    """A call outside any run works as if nothing were recorded."""
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
    """Instrumenting twice counts once, undoing restores the client, and signatures are kept."""
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
    """A wrapper that was put around ours keeps working after we uninstrument."""
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
    """A single client and its copies are recorded, once even if all are, and can be released."""
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


def test_an_unexpected_answer_ends_the_span(
    client: openai.OpenAI, model_api: ModelApi, journal: RecordingJournal
) -> None:
    """The host gets an unexpected answer unchanged, and its span ends with what is known."""
    model_api.answer({"choices": "none", "usage": [1]})
    with make_run(journal):
        client.chat.completions.create(model="m-1", messages=MESSAGES)
    assert ended(journal)["result_payload"] == {"request_id": "req-1"}


async def test_azure_and_wrapped_clients_are_recorded(
    model_api: ModelApi, journal: RecordingJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients of other clouds are recorded, and clients with a wrapped `request` too."""
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
    """An answer cut off by a limit raises in `parse`, and its text and tokens are recorded."""
    body = completion({"role": "assistant", "content": '{"x":'})
    body["choices"][0]["finish_reason"] = "length"
    model_api.answer(body)
    with make_run(journal), pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model="m-1", messages=MESSAGES, response_format=Point)
    result = ended(journal)["result_payload"]
    assert ended(journal)["status"] == "failed"
    assert (result["finish_reason"], result["token_usage"]) == ("length", TOKENS)
    assert result["error"]["error_type"] == "LengthFinishReasonError"


def test_the_first_call_outside_of_a_run_is_warned_about(
    model_api: ModelApi, tmp_path: Path
) -> None:
    """Two calls outside any run log one warning, which says what to do."""
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
