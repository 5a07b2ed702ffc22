"""Attributes of OpenTelemetry spans become payloads and results."""

import json
from typing import Any

import pytest
from opentelemetry.trace import Status, StatusCode

from otel_fixture import AGENT, CHAT, TOOL, one, tracing
from prefactor_recorder.testing import InMemoryRecorder

ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]
TOKENS = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_the_newer_attributes_are_read(recorder: InMemoryRecorder) -> None:
    """Messages as JSON, token counts, parameters and reasons become payload and result."""
    recorded = one(
        recorder,
        {
            **CHAT,
            "gen_ai.provider.name": "vendor",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.input.messages": json.dumps(ASKED),
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be kind"}]),
            "gen_ai.output.messages": json.dumps(
                [
                    {
                        "role": "assistant",
                        "parts": [
                            {"type": "text", "content": "Hi there"},
                            {"type": "tool_call", "id": "t", "name": "find", "arguments": {"q": 1}},
                        ],
                    }
                ]
            ),
            "gen_ai.tool.definitions": json.dumps([{"name": "find", "headers": {"k": "secret"}}]),
            "gen_ai.response.model": "m-1-2026",
            "gen_ai.response.id": "r-1",
            "gen_ai.response.finish_reasons": ["tool_calls"],
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 2,
            "gen_ai.usage.cache_read.input_tokens": 3,
            "gen_ai.conversation.id": "talk-1",
            "server.address": "vendor.example",
        },
    )
    otel = recorded.payload.pop("otel")
    assert len(otel["trace_id"]) == 32
    assert otel["scope"] == "test-scope"
    assert recorded.schema_name == "otel:llm"
    assert recorded.payload == {
        "name": "a span",
        "model": "m-1",
        "provider": "vendor",
        "system": [{"type": "text", "content": "Be kind"}],
        "messages": ASKED,
        "tools": [{"name": "find", "headers": "[removed]"}],
        "conversation_id": "talk-1",
        "parameters": {"temperature": 0.5},
        "attributes": {"server.address": "vendor.example"},
    }
    assert recorded.result is not None
    assert len(recorded.result.pop("messages")) == 1
    assert recorded.result == {
        "model": "m-1-2026",
        "response_id": "r-1",
        "text": "Hi there",
        "tool_calls": [{"id": "t", "name": "find", "arguments": {"q": 1}}],
        "finish_reason": "tool_calls",
        "usage": {"input_tokens": 5, "output_tokens": 2, "cache_read.input_tokens": 3},
        "token_usage": TOKENS,
    }


def test_totals_of_an_agent_are_recorded_separately(recorder: InMemoryRecorder) -> None:
    """The totals in an agent's span are not its own tokens, so nothing is counted twice."""
    recorded = one(recorder, {**AGENT, "gen_ai.usage.input_tokens": 5})
    assert recorded.result == {
        "totals": {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}
    }


OLDER = {"gen_ai.system": "vendor", "gen_ai.request.model": "m-1"}
OLDER_USAGE = {"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 2}
PLAIN = [{"role": "user", "content": "Hello"}]
REPLY = [{"role": "assistant", "content": "Hi there"}]
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "m-1",
    "llm.provider": "vendor",
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "Hello",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Hi there",
    "llm.token_count.prompt": 5,
    "llm.token_count.completion": 2,
    "llm.token_count.total": 7,
    "input.value": "Hello",
    "output.value": "Hi there",
}
FORMS: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = {
    "indexed": (
        {
            **OLDER,
            **OLDER_USAGE,
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "Hello",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "Hi there",
            "llm.usage.total_tokens": 7,
            "llm.request.type": "chat",
        },
        [],
    ),
    "plain": (
        {
            **OLDER,
            **OLDER_USAGE,
            "gen_ai.prompt": json.dumps(PLAIN),
            "gen_ai.completion": json.dumps(REPLY),
        },
        [],
    ),
    "content events": (
        {**OLDER, **OLDER_USAGE},
        [
            ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(PLAIN)}),
            ("gen_ai.content.completion", {"gen_ai.completion": json.dumps(REPLY)}),
        ],
    ),
    "message events": (
        {**OLDER, **OLDER_USAGE},
        [
            ("gen_ai.user.message", {"gen_ai.system": "vendor", "content": "Hello"}),
            ("gen_ai.choice", {"message": json.dumps({"content": "Hi there"})}),
        ],
    ),
    "details event": (
        {**OLDER, **OLDER_USAGE},
        [
            (
                "gen_ai.client.inference.operation.details",
                {
                    "gen_ai.input.messages": json.dumps(PLAIN),
                    "gen_ai.output.messages": json.dumps(REPLY),
                },
            )
        ],
    ),
    "OpenInference": (OPENINFERENCE, []),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_messages_is_read(recorder: InMemoryRecorder, form: str) -> None:
    """Every convention for messages gives the same span."""
    recorded = one(recorder, FORMS[form][0], *FORMS[form][1])
    assert recorded.schema_name == "otel:llm"
    assert recorded.payload["model"] == "m-1"
    assert recorded.payload["provider"] == "vendor"
    assert recorded.payload["messages"] == PLAIN
    assert recorded.result["text"] == "Hi there"
    assert recorded.result["messages"] == REPLY
    assert recorded.result["token_usage"] == TOKENS
    assert "attributes" not in recorded.payload


def test_openinference_tool_calls_are_read(recorder: InMemoryRecorder) -> None:
    """Tools, tool calls, contents and parameters are unwrapped from their nested form."""
    call = "llm.output_messages.0.message.tool_calls.0.tool_call"
    part = "llm.input_messages.0.message.contents.0.message_content"
    recorded = one(
        recorder,
        {
            "openinference.span.kind": "LLM",
            f"{part}.type": "text",
            f"{part}.text": "Hello",
            "llm.input_messages.0.message.role": "user",
            f"{call}.id": "t-1",
            f"{call}.function.name": "find",
            f"{call}.function.arguments": '{"q": 1}',
            "llm.tools.0.tool.json_schema": '{"name": "find"}',
            "llm.invocation_parameters": '{"temperature": 0.5}',
        },
    )
    assert recorded.payload["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
    ]
    assert recorded.payload["tools"] == [{"name": "find"}]
    assert recorded.payload["parameters"] == {"temperature": 0.5}
    assert recorded.result["tool_calls"] == [{"id": "t-1", "name": "find", "arguments": {"q": 1}}]


@pytest.mark.parametrize(
    ("attributes", "name", "given", "came"),
    [
        (
            {
                **TOOL,
                "gen_ai.tool.call.id": "t-1",
                "gen_ai.tool.call.arguments": '{"q": 1}',
                "gen_ai.tool.call.result": '["a"]',
            },
            "otel:tool",
            {"q": 1},
            ["a"],
        ),
        (
            {
                "openinference.span.kind": "TOOL",
                "tool.name": "find",
                "input.value": '{"q": 1}',
                "output.value": "a",
            },
            "otel:tool",
            {"q": 1},
            "a",
        ),
        (
            {
                "traceloop.span.kind": "workflow",
                "traceloop.entity.input": "in",
                "traceloop.entity.output": "out",
            },
            "otel:chain",
            "in",
            "out",
        ),
    ],
)
def test_tools_and_chains_have_input_and_output(
    recorder: InMemoryRecorder,
    attributes: dict[str, Any],
    name: str,
    given: Any,
    came: Any,
) -> None:
    """The input and output of a tool or a chain are parsed if they are JSON."""
    recorded = one(recorder, attributes)
    assert recorded.schema_name == name
    assert recorded.payload["input"] == given
    assert recorded.result["output"] == came


def test_embeddings_and_retrievals_are_read(recorder: InMemoryRecorder) -> None:
    """An embedding keeps its texts and not its vectors; a retrieval keeps its documents."""
    tracer = tracing(recorder)
    embedding = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "e-1",
        "embedding.embeddings.0.embedding.text": "a",
        "embedding.embeddings.0.embedding.vector": [0.25, 0.5],
    }
    retrieval = {
        "openinference.span.kind": "RETRIEVER",
        "input.value": "query",
        "retrieval.documents.0.document.content": "found",
        "retrieval.documents.0.document.score": 0.9,
    }
    for attributes in (embedding, retrieval):
        tracer.start_span("s", attributes=attributes).end()
    embedded = recorder.span_named("otel:embedding")
    assert (embedded.payload["model"], embedded.payload["input"]) == ("e-1", ["a"])
    assert "vector" not in json.dumps(embedded.payload)
    retrieved = recorder.span_named("otel:retriever")
    assert retrieved.payload["input"] == "query"
    assert retrieved.result == {"documents": [{"content": "found", "score": 0.9}]}


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"gen_ai.operation.name": "embeddings"}, "otel:embedding"),
        ({"gen_ai.operation.name": "create_agent"}, "otel:agent"),
        ({"gen_ai.operation.name": "something new"}, "otel:step"),
        ({"gen_ai.request.model": "m-1"}, "otel:llm"),
        ({"openinference.span.kind": "GUARDRAIL"}, "otel:guardrail"),
        ({"openinference.span.kind": "UNKNOWN"}, "otel:step"),
        ({"traceloop.span.kind": "agent"}, "otel:agent"),
        ({"gen_ai.evaluation.name": "kind"}, "otel:step"),
    ],
)
def test_each_kind_has_its_span_type(
    recorder: InMemoryRecorder, attributes: dict[str, Any], name: str
) -> None:
    """A span's kind decides its type, whichever attribute has it."""
    assert one(recorder, attributes).schema_name == name


def test_a_failure_is_described_by_its_exception(recorder: InMemoryRecorder) -> None:
    """A span with an error status has failed, with type, message and stack; so has the run."""
    tracer = tracing(recorder)
    with (
        pytest.raises(ValueError, match="not today"),
        tracer.start_as_current_span("c", attributes=CHAT),
    ):
        raise ValueError("not today")
    (recorded,) = recorder.spans
    assert recorded.status == "failed"
    assert recorded.error is not None
    assert recorded.error["error_type"] == "ValueError"
    assert recorded.error["message"] == "not today"
    assert "Traceback" in recorded.error["stacktrace"]
    assert recorder.runs[0].status == "failed"


def test_a_failure_without_an_exception_is_described_by_its_status(
    recorder: InMemoryRecorder,
) -> None:
    """Without an exception, type and message come from `error.type` and the status."""
    tracer = tracing(recorder)
    with tracer.start_as_current_span("a", attributes=AGENT):
        span = tracer.start_span("c", attributes={**CHAT, "error.type": "timeout"})
        span.set_status(Status(StatusCode.ERROR, "took too long"))
        span.end()
    failed = recorder.span_named("otel:llm")
    assert failed.error == {"error_type": "timeout", "message": "took too long", "stacktrace": ""}
    assert recorder.runs[0].status == "complete"


def test_a_cancellation_is_not_a_failure(recorder: InMemoryRecorder) -> None:
    """A span that ended by a cancellation is cancelled."""
    tracer = tracing(recorder)
    span = tracer.start_span("c", attributes=CHAT)
    span.add_event("exception", {"exception.type": "asyncio.exceptions.CancelledError"})
    span.set_status(StatusCode.ERROR)
    span.end()
    assert [each.status for each in recorder.spans] == ["cancelled"]
