"""Unmodified instrumentations for agents, which send OTLP to a real server.

Exporters, instrumentations and libraries are real, and their models are scripted. Each agent calls
a tool, streams an answer, counts tokens and meets a failure, in a process that gets the server's
address from the environment.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from checkout import ROOT
from live_server import LiveServer
from model_api import ModelApi, serving
from prefactor_http import AgentSpan, HttpClientConfig, PrefactorHttpClient

PROGRAM = ROOT / "tests" / "support" / "instrumented_agents.py"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
CALLS: Any = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    ],
}


def completion(message: Any) -> Any:
    """Return a chat completion as the API sends it."""
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1-2026",
        "choices": [{"index": 0, "finish_reason": reason, "message": message}],
        "usage": USAGE,
    }


def chunks() -> list[Any]:
    """A streamed chat completion, with its usage at the end."""

    def chunk(choices: list[Any], **more: Any) -> Any:
        return {
            "id": "c-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m-1-2026",
            "choices": choices,
            **more,
        }

    parts = [{"role": "assistant", "content": ""}, {"content": "It "}, {"content": "is 3."}]
    deltas = [chunk([{"index": 0, "delta": part, "finish_reason": None}]) for part in parts]
    end = chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    return [*deltas, end, chunk([], usage=USAGE), "[DONE]"]


async def recorded(
    agent: str, server: LiveServer, model: ModelApi | None = None
) -> tuple[Any, list[AgentSpan]]:
    """Run one of the instrumented agents; its only run, and its spans in the order they began."""
    ended = subprocess.run(
        [sys.executable, PROGRAM, agent],
        env=os.environ
        | {
            "OPENAI_BASE_URL": model.url if model else "",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
            "OTEL_EXPORTER_OTLP_HEADERS": quote(f"Authorization=Bearer {server.token}", safe="="),
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "event_only",
            "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT": "true",
            "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.4",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
            "OTEL_SERVICE_NAME": agent,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    config = HttpClientConfig(api_url=server.url, api_token=server.token)
    async with PrefactorHttpClient(config) as client:
        (run,) = [each async for each in client.agent_instances.iterate(agent_id=agent)]
        spans = [each async for each in client.agent_spans.iterate(agent_instance_id=run.id)]
    return run, sorted(spans, key=lambda each: (each.started_at, each.id))


@pytest.fixture
def model() -> Iterator[ModelApi]:
    """A fake vendor API that asks for a tool, streams an answer, and then refuses."""
    with serving() as api:
        api.answer(completion(CALLS))
        api.answer(chunks())
        api.answer({"error": {"message": "no more credit", "type": "x"}}, status=400)
        yield api


@pytest.mark.parametrize("agent", ["openinference", "opentelemetry_own", "traceloop"])
async def test_clients_of_a_vendor(agent: str, live_server: LiveServer, model: ModelApi) -> None:
    """Tree, texts, tool calls, tokens, streaming and the failure arrive from each library."""
    run, spans = await recorded(agent, live_server, model)

    kinds = [(each.schema_name, each.status) for each in spans]
    assert kinds == [
        ("otel:agent", "complete"),
        ("otel:llm", "complete"),
        ("otel:tool", "complete"),
        ("otel:llm", "complete"),
        ("otel:llm", "failed"),
    ]
    agent, calls, tool, streamed, refused = spans
    assert {each.parent_span_id for each in spans[1:]} == {agent.id}
    assert "What is 1 and 2?" in json.dumps(calls.payload)
    assert "add" in json.dumps(calls.result_payload)
    assert tool.result_payload["output"] == 3
    assert "It is 3." in json.dumps(streamed.result_payload)
    assert [each.total_tokens for each in (calls, streamed)] == [7, 7]
    assert "no more credit" in json.dumps(refused.result_payload)
    assert (run.status, run.metadata) == ("complete", {"session_id": "s-1"})


async def test_logfire(live_server: LiveServer, model: ModelApi) -> None:
    """Logfire exporting to the server: a streamed answer has a separate span."""
    run, spans = await recorded("logfire", live_server, model)

    agent, calls, tool, asked, streamed, refused = spans
    assert [(each.schema_name, each.status) for each in spans] == [
        ("otel:agent", "complete"),
        ("otel:llm", "complete"),
        ("otel:tool", "complete"),
        ("otel:llm", "complete"),
        ("otel:llm", "complete"),
        ("otel:llm", "failed"),
    ]
    assert {each.parent_span_id for each in (calls, tool, asked, refused)} == {agent.id}
    assert calls.payload["name"] == "Chat Completion with 'm-1'"
    assert "What is 1 and 2?" in json.dumps(calls.payload)
    assert calls.result_payload["tool_calls"][0]["name"] == "add"
    assert calls.result_payload["finish_reason"] == "tool_calls"
    assert tool.result_payload["output"] == 3
    assert (streamed.result_payload["text"], streamed.total_tokens) == ("It is 3.", 7)
    assert (calls.total_tokens, asked.total_tokens) == (7, None)
    assert "no more credit" in refused.result_payload["error"]["message"]
    # It scrubs the session's id, so the run has none.
    assert (run.status, run.metadata) == ("complete", {})


async def test_pydantic_ai(live_server: LiveServer) -> None:
    """A pydantic-ai agent, which traces itself: tools, one of which fails, and a stream."""
    run, spans = await recorded("pydantic_ai", live_server)

    ids = {each.id for each in spans}
    assert [each.schema_name for each in spans if each.parent_span_id not in ids] == ["otel:agent"]
    tools = [each for each in spans if each.schema_name == "otel:tool"]
    assert [(each.tool_name, each.status) for each in tools][:2] == [("add", "complete")] * 2
    assert ("divide", "failed") in [(each.tool_name, each.status) for each in tools]
    (failed,) = [each for each in tools if each.status == "failed"]
    assert "division by zero" in json.dumps(failed.result_payload)
    calls = [each for each in spans if each.schema_name == "otel:llm"]
    answers = [each for each in calls if "It is 3." in json.dumps(each.result_payload)]
    assert len(answers) == 2
    for answer in answers:
        assert "What is 1 and 2?" in json.dumps(answer.payload)
        assert answer.total_tokens
    assert run.status == "complete"


async def test_langchain_through_openinference(live_server: LiveServer) -> None:
    """A LangChain chain with a failing tool and a streamed answer, through OpenInference."""
    run, spans = await recorded("langchain", live_server)

    found = {each.schema_name: each for each in spans}
    assert found["otel:tool"].status == "failed"
    assert found["otel:chain"].status == "complete"
    called, streamed = [each for each in spans if each.schema_name == "otel:llm"]
    assert {called.parent_span_id, streamed.parent_span_id} == {found["otel:chain"].id}
    assert "It is 3." in json.dumps(called.result_payload)
    assert "What is 1 and 2?" in json.dumps(called.payload)
    assert called.total_tokens == 7
    assert "It is still 3." in json.dumps(streamed.result_payload)
    assert "division by zero" in json.dumps(found["otel:tool"].result_payload)
    assert run.status == "complete"


async def test_openai_agents_through_openinference(live_server: LiveServer) -> None:
    """The OpenAI Agents SDK with a tool, a stream and a refused call, through OpenInference."""
    with serving() as api:
        api.answer(completion(CALLS))
        api.answer(completion({"role": "assistant", "content": "It is 3."}))
        api.answer(chunks())
        api.answer({"error": {"message": "no more credit", "type": "x"}}, status=400)
        run, spans = await recorded("openai_agents", live_server, api)

    ids = {each.id for each in spans}
    assert len([each for each in spans if each.parent_span_id not in ids]) == 1
    assert "otel:agent" in {each.schema_name for each in spans}
    (tool,) = [each for each in spans if each.schema_name == "otel:tool"]
    assert (tool.tool_name, tool.status, tool.result_payload["output"]) == ("add", "complete", 3)
    calls = [each for each in spans if each.schema_name == "otel:llm"]
    assert [each.status for each in calls] == ["complete", "complete", "complete", "failed"]
    assert all("What is 1 and 2?" in json.dumps(each.payload) for each in calls)
    assert [each.total_tokens for each in calls[:3]] == [7, 7, 7]
    assert all("It is 3." in json.dumps(each.result_payload) for each in calls[1:3])
    assert run.status == "complete"


@pytest.mark.parametrize("content_type", ["application/json", "application/x-protobuf"])
def test_retries_of_a_collector(content_type: str, live_server: LiveServer) -> None:
    """Requests cut at every tenth byte, and sent twice, leave each span once."""
    trace = os.urandom(16).hex()
    body = exported(trace, content_type)
    address = urlsplit(live_server.url)
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {live_server.token}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    for cut in range(0, len(body), 10):
        with socket.create_connection((address.hostname, address.port)) as broken:
            broken.sendall(head + body[:cut])
    headers = {"Authorization": f"Bearer {live_server.token}", "Content-Type": content_type}
    for _ in range(2):
        request = urllib.request.Request(f"{live_server.url}/v1/traces", body, headers)  # noqa: S310 - our own server
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
            assert answer.read() == (b"{}" if content_type == "application/json" else b"")

    found = urllib.request.Request(  # noqa: S310 - our own server
        f"{live_server.url}/api/v1/agent_instance?external_identifier={trace}",
        headers={"Authorization": f"Bearer {live_server.token}"},
    )
    with urllib.request.urlopen(found) as answer:  # noqa: S310 - our own server
        (run,) = json.load(answer)["summaries"]
    assert (run["status"], run["span_counts"]["total"]) == ("complete", 3)


def exported(trace: str, content_type: str) -> bytes:
    """Three spans of a trace as an exporter sends them."""
    as_json = content_type == "application/json"

    def name(identifier: str) -> str:
        # Ids are hexadecimal in OTLP/JSON, where the JSON form of protobuf has base 64.
        return identifier if as_json else b64encode(bytes.fromhex(identifier)).decode()

    spans = [
        {
            "traceId": name(trace),
            "spanId": name(f"{number:016x}"),
            **({"parentSpanId": name(f"{1:016x}")} if number > 1 else {}),
            "name": "chat m-1",
            "startTimeUnixNano": "1767225600000000000",
            "endTimeUnixNano": "1767225601000000000",
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            ],
        }
        for number in range(1, 4)
    ]
    document = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    if as_json:
        return json.dumps(document).encode()
    return ParseDict(document, ExportTraceServiceRequest()).SerializeToString()
