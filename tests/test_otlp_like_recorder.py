"""OTLP and the recorder record the same OpenTelemetry spans alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from live_server import LiveServer
from prefactor_http import AgentInstance, AgentSpan, HttpClientConfig, PrefactorHttpClient
from prefactor_recorder import Recorder
from prefactor_recorder.integrations.opentelemetry import PrefactorSpanProcessor

MESSAGE = '[{"role": "%s", "parts": [{"type": "text", "content": "%s"}]}]'
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m-1",
    "gen_ai.input.messages": MESSAGE % ("user", "Hi"),
    "gen_ai.output.messages": MESSAGE % ("assistant", "Ho"),
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.usage.output_tokens": 2,
    "odd": ("kept", "too"),
}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add"}
OWN = {"id", "agent_instance_id", "parent_span_id", "inserted_at", "updated_at"}


def _trace(server: LiveServer, spool: Path) -> None:
    """Send an agent with a model call and a failing tool, in both ways at once."""
    recorder = Recorder(
        agent_id="alike", api_url=server.url, api_token=server.token, spool_dir=spool
    )
    provider = TracerProvider(resource=Resource({"service.name": "alike"}))
    provider.add_span_processor(PrefactorSpanProcessor(recorder))
    exporter = OTLPSpanExporter(
        f"{server.url}/v1/traces", headers={"Authorization": f"Bearer {server.token}"}
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("agent")
    with tracer.start_as_current_span("invoke_agent helper", attributes=AGENT):
        with tracer.start_as_current_span("chat m-1", attributes=CHAT):
            pass
        try:
            with tracer.start_as_current_span("execute_tool add", attributes=TOOL):
                raise ValueError("no such number")
        except ValueError:
            pass
    provider.shutdown()
    recorder.close()


def _shown(spans: list[AgentSpan]) -> list[Any]:
    """Everything that is shown of spans, except ids and storage times."""
    names = {each.id: each.payload["name"] for each in spans}
    return sorted(
        (
            each.payload["name"],
            names.get(each.parent_span_id or ""),
            each.model_dump(mode="json", exclude=OWN),
        )
        for each in spans
    )


async def test_otlp_and_the_recorder_look_alike(live_server: LiveServer, tmp_path: Path) -> None:
    """Tree, types, payloads, results, tokens, summaries and times are equal, span by span."""
    _trace(live_server, tmp_path / "spool")
    config = HttpClientConfig(api_url=live_server.url, api_token=live_server.token)
    async with PrefactorHttpClient(config) as client:
        found = client.agent_instances.iterate(agent_id="alike")
        runs: list[AgentInstance] = [each async for each in found]
        spans = [
            [each async for each in client.agent_spans.iterate(agent_instance_id=run.id)]
            for run in runs
        ]

    assert len(runs) == 2
    assert [len(each) for each in spans] == [3, 3]
    assert _shown(spans[0]) == _shown(spans[1])
    one, other = ((run.status, run.span_counts, run.type) for run in runs)
    assert one == other
