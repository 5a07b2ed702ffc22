"""What people instrument their agents with, unmodified, against a real server by OTLP.

Exporters, instrumentations and libraries are the real ones, their models are scripts. Each records
an agent that calls a tool, streams an answer, counts tokens and meets a failure.
"""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from live_server import LiveServer
from model_api import ModelApi, serving
from prefactor_http import AgentSpan, HttpClientConfig, PrefactorHttpClient

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
TOOL: Any = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
}
ASKED: Any = [{"role": "user", "content": "What is 1 and 2?"}]
CALLS: Any = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    ],
}


def completion(message: Any) -> Any:
    """A chat completion as the API answers it."""
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


@dataclass
class Traced:
    """A process that exports to the server, as one agent."""

    server: LiveServer
    agent: str
    tracers: TracerProvider
    loggers: LoggerProvider
    closing: list[Callable[[], object]] = field(default_factory=list)

    async def arrived(self) -> tuple[Any, list[AgentSpan]]:
        """The only run of the agent, and its spans in the order they began."""
        assert self.tracers.force_flush()
        assert self.loggers.force_flush()
        config = HttpClientConfig(api_url=self.server.url, api_token=self.server.token)
        async with PrefactorHttpClient(config) as client:
            (run,) = [each async for each in client.agent_instances.iterate(agent_id=self.agent)]
            spans = [each async for each in client.agent_spans.iterate(agent_instance_id=run.id)]
        return run, sorted(spans, key=lambda each: (each.started_at, each.id))


@pytest.fixture
def traced(
    live_server: LiveServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Traced]:
    """A tracer provider whose spans go to the server, named for the test."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "event_only")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true")
    auth = {"Authorization": f"Bearer {live_server.token}"}
    resource = Resource({"service.name": request.node.name, "service.version": "1.4"})
    spans = OTLPSpanExporter(
        f"{live_server.url}/v1/traces", headers=auth, compression=Compression.Gzip
    )
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    loggers = LoggerProvider(resource=resource)
    logs = OTLPLogExporter(f"{live_server.url}/v1/logs", headers=auth)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    made = Traced(live_server, request.node.name, tracers, loggers)
    yield made
    for close in made.closing:
        close()
    tracers.shutdown()
    loggers.shutdown()


@pytest.fixture
def model() -> Iterator[ModelApi]:
    """A vendor's API that asks for a tool, streams an answer, and then refuses."""
    with serving() as api:
        api.answer(completion(CALLS))
        api.answer(chunks())
        api.answer({"error": {"message": "no more credit", "type": "x"}}, status=400)
        yield api


def converse(traced: Traced, model: ModelApi) -> None:
    """What an agent does with a vendor's client; its own steps are spans by hand."""
    tracer = traced.tracers.get_tracer("agent")
    asked: Any = {"model": "m-1", "tools": [TOOL]}
    with (
        openai.OpenAI(api_key="sk-secret", base_url=model.url, max_retries=0) as client,
        tracer.start_as_current_span(
            "invoke_agent helper",
            attributes={"gen_ai.operation.name": "invoke_agent", "session.id": "s-1"},
        ),
    ):
        client.chat.completions.create(messages=ASKED, **asked)
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add"}
        with tracer.start_as_current_span("execute_tool add", attributes=tool) as step:
            step.set_attribute("gen_ai.tool.call.result", "3")
        stream = client.chat.completions.create(
            messages=ASKED, stream=True, stream_options={"include_usage": True}, **asked
        )
        assert "".join(_texts(stream)) == "It is 3."
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(messages=ASKED, **asked)


def _texts(stream: Any) -> Iterator[str]:
    for chunk in stream:
        for choice in chunk.choices:
            yield choice.delta.content or ""


def openinference(traced: Traced) -> None:
    """OpenInference's instrumentation of the client."""
    from openinference.instrumentation.openai import OpenAIInstrumentor  # noqa: PLC0415 - slow

    made = OpenAIInstrumentor()
    made.instrument(tracer_provider=traced.tracers)
    traced.closing.append(made.uninstrument)


def opentelemetry_own(traced: Traced) -> None:
    """OpenTelemetry's own instrumentation, which sends messages as log records."""
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor  # noqa: PLC0415 - slow

    made = OpenAIInstrumentor()
    made.instrument(tracer_provider=traced.tracers, logger_provider=traced.loggers)
    traced.closing.append(made.uninstrument)


def traceloop(traced: Traced) -> None:
    """Traceloop's instrumentation, whose messages are indexed attributes."""
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor  # noqa: PLC0415 - slow

    made = OpenAIInstrumentor()
    made.instrument(tracer_provider=traced.tracers)
    traced.closing.append(made.uninstrument)


# Traceloop's package configures pydantic in an old way.
@pytest.mark.filterwarnings("ignore:Support for class-based")
@pytest.mark.parametrize("instrument", [openinference, opentelemetry_own, traceloop])
async def test_clients_of_a_vendor(
    instrument: Callable[[Traced], None], traced: Traced, model: ModelApi
) -> None:
    """Tree, texts, tool calls, tokens, streaming and the failure arrive from each of them."""
    instrument(traced)
    converse(traced, model)
    run, spans = await traced.arrived()

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


async def test_pydantic_ai(traced: Traced) -> None:
    """An agent of pydantic-ai, which traces itself, with a tool."""
    from pydantic_ai import Agent  # noqa: PLC0415 - slow
    from pydantic_ai.capabilities import Instrumentation  # noqa: PLC0415 - slow
    from pydantic_ai.models.instrumented import InstrumentationSettings  # noqa: PLC0415 - slow
    from pydantic_ai.models.test import TestModel  # noqa: PLC0415 - slow

    settings = InstrumentationSettings(tracer_provider=traced.tracers)
    agent = Agent(
        TestModel(custom_output_text="It is 3."),
        name="adder",
        capabilities=[Instrumentation(settings)],
    )

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        return a + b

    await agent.run("What is 1 and 2?")
    run, spans = await traced.arrived()

    names = [each.schema_name for each in spans]
    assert (names[0], names.count("otel:llm"), names.count("otel:tool")) == ("otel:agent", 2, 1)
    assert run.status == "complete"
    (tool,) = [each for each in spans if each.schema_name == "otel:tool"]
    assert tool.tool_name == "add"
    answer = [each for each in spans if each.schema_name == "otel:llm"][-1]
    assert "It is 3." in json.dumps(answer.result_payload)
    assert "What is 1 and 2?" in json.dumps(answer.payload)
    assert answer.total_tokens


async def test_langchain_through_openinference(traced: Traced) -> None:
    """A chain of LangChain with a tool that fails, through OpenInference."""
    from langchain_core.language_models.fake_chat_models import (  # noqa: PLC0415 - slow
        GenericFakeChatModel,
    )
    from langchain_core.messages import AIMessage  # noqa: PLC0415 - slow
    from langchain_core.runnables import RunnableLambda  # noqa: PLC0415 - slow
    from langchain_core.tools import tool  # noqa: PLC0415 - slow
    from openinference.instrumentation.langchain import (  # noqa: PLC0415 - slow
        LangChainInstrumentor,
    )

    made = LangChainInstrumentor()
    made.instrument(tracer_provider=traced.tracers)
    traced.closing.append(made.uninstrument)
    usage: Any = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    answers = iter([AIMessage("It is 3.", usage_metadata=usage)])
    chat = GenericFakeChatModel(messages=answers)

    @tool
    def divide(a: int) -> float:
        """Divide."""
        return a / 0

    def act(text: str) -> Any:
        with pytest.raises(ZeroDivisionError):
            divide.invoke({"a": 1})
        return "".join(str(part.content) for part in chat.stream(text))

    assert RunnableLambda(act).invoke("What is 1 and 2?") == "It is 3."
    run, spans = await traced.arrived()

    found = {each.schema_name: each for each in spans}
    assert found["otel:tool"].status == "failed"
    assert found["otel:chain"].status == "complete"
    assert found["otel:llm"].parent_span_id == found["otel:chain"].id
    assert "It is 3." in json.dumps(found["otel:llm"].result_payload)
    assert "division by zero" in json.dumps(found["otel:tool"].result_payload)
    assert run.status == "complete"


async def test_openai_agents_through_openinference(traced: Traced) -> None:
    """A run of the OpenAI Agents SDK with a tool, through OpenInference."""
    import agents  # noqa: PLC0415 - slow
    from agents.testing import (  # noqa: PLC0415 - slow
        ModelStep,
        ScriptedModel,
        assistant_message,
        function_call,
    )
    from openinference.instrumentation.openai_agents import (  # noqa: PLC0415 - slow
        OpenAIAgentsInstrumentor,
    )

    made = OpenAIAgentsInstrumentor()
    made.instrument(tracer_provider=traced.tracers)
    traced.closing.append(made.uninstrument)

    @agents.function_tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    script = ScriptedModel(
        [
            ModelStep(output=[function_call("add", '{"a": 1, "b": 2}', call_id="c1")]),
            ModelStep(output=[assistant_message("It is 3.")]),
        ]
    )
    agent = agents.Agent(name="adder", model=script, tools=[add])
    await agents.Runner.run(agent, "What is 1 and 2?")
    run, spans = await traced.arrived()

    (tool,) = [each for each in spans if each.schema_name == "otel:tool"]
    assert (tool.tool_name, tool.result_payload["output"]) == ("add", 3)
    assert "otel:agent" in {each.schema_name for each in spans}
    assert run.status == "complete"


def test_retries_of_a_collector(live_server: LiveServer) -> None:
    """Requests that break off at every tenth byte, and are sent twice, leave each span once."""
    trace = "ab" * 16
    spans = [
        {
            "traceId": trace,
            "spanId": f"{number:016x}",
            **({"parentSpanId": f"{1:016x}"} if number > 1 else {}),
            "name": "chat m-1",
            "startTimeUnixNano": "1767225600000000000",
            "endTimeUnixNano": "1767225601000000000",
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            ],
        }
        for number in range(1, 4)
    ]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    address = urlsplit(live_server.url)
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {live_server.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    for cut in range(0, len(body), 10):
        with socket.create_connection((address.hostname, address.port)) as broken:
            broken.sendall(head + body[:cut])
    for _ in range(2):
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{live_server.url}/v1/traces",
            body,
            {
                "Authorization": f"Bearer {live_server.token}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
            assert answer.read() == b"{}"

    found = urllib.request.Request(  # noqa: S310 - our own server
        f"{live_server.url}/api/v1/agent_instance?external_identifier={trace}",
        headers={"Authorization": f"Bearer {live_server.token}"},
    )
    with urllib.request.urlopen(found) as answer:  # noqa: S310 - our own server
        (run,) = json.load(answer)["summaries"]
    assert (run["status"], run["span_counts"]["total"]) == ("complete", 3)
