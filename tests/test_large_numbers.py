"""Numbers beyond 64 bits pass from a tool or caller through the server unchanged."""

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from live_server import LiveServer
from prefactor_http import HttpClientConfig, PrefactorHttpClient
from prefactor_recorder import Recorder
from prefactor_recorder.integrations.opentelemetry import PrefactorSpanProcessor

WEI = 123456789012345678901234567890
FLUSH_LIMIT = 30.0


async def test_an_opentelemetry_tool_keeps_large_numbers(
    live_server: LiveServer, tmp_path: Path
) -> None:
    """A tool's arguments and result arrive with every digit, as text if no float fits."""
    written = json.dumps({"wei": WEI, "rate": 0.5})
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.call.arguments": written,
        "gen_ai.tool.call.result": f"[{WEI}, 0.1234567890123456789, 1e400, 0, false, []]",
    }
    with Recorder(live_server.url, live_server.token, spool_dir=tmp_path) as recorder:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(PrefactorSpanProcessor(recorder))
        with (
            recorder.run("number-agent", version="1") as run,
            provider.get_tracer("t").start_as_current_span("pay", attributes=attributes),
        ):
            pass
        assert await recorder.aflush(FLUSH_LIMIT) == 0
    config = HttpClientConfig(live_server.url, live_server.token)
    async with PrefactorHttpClient(config) as client:
        (span,) = await client.agent_spans.list(agent_instance_id=run.id)
        found = await client.agent_spans.get(span.id)
    assert {name: str(value) for name, value in found.payload["input"].items()} == {
        "wei": str(WEI),
        "rate": "0.5",
    }
    output: list[Any] = (found.result_payload or {})["output"]
    assert str(output[0]) == str(WEI)
    assert output[1:] == ["0.1234567890123456789", "1e400", 0, False, []]
    assert output[4] is False


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, WEI, -WEI, 10**100])
async def test_the_client_keeps_large_numbers(live_server: LiveServer, number: int) -> None:
    """A number in a payload is the same number when it is read back."""
    config = HttpClientConfig(live_server.url, live_server.token)
    async with PrefactorHttpClient(config) as client:
        run = await client.agent_instances.register("number-agent")
        await client.agent_instances.start(run.id)
        made = await client.agent_spans.create(run.id, "pay", "active", {"wei": number})
        ended = await client.agent_spans.finish(made.id, "complete", {"wei": [number]})
        found = await client.agent_spans.get(made.id)
    assert made.payload == found.payload == {"wei": number}
    assert ended.result_payload == found.result_payload == {"wei": [number]}
