"""The unmodified JavaScript SDK of OpenTelemetry, against a real server: OTLP as JSON."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from checkout import ROOT
from live_server import LiveServer
from prefactor_http import HttpClientConfig, PrefactorHttpClient

FOLDER = ROOT / "tests" / "javascript"
NODE = ROOT / "scripts" / "node"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The agent's folder, with the packages of its lock file."""
    stamp = FOLDER / "node_modules" / ".package-lock.json"
    with (FOLDER / "package.json").open() as locked:
        # Several tests may run at once, and from several processes.
        fcntl.flock(locked, fcntl.LOCK_EX)
        lock = FOLDER / "package-lock.json"
        if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
            installed = subprocess.run(
                [NODE, "npm", "ci", "--ignore-scripts", "--loglevel=error"],
                cwd=FOLDER,
                capture_output=True,
                text=True,
                check=False,
            )
            assert installed.returncode == 0, (
                "This takes Node 22.12, or the network once, to install it and what "
                f"tests/javascript/package-lock.json names: {installed.stderr}"
            )
        yield FOLDER


async def test_the_javascript_sdk(folder: Path, live_server: LiveServer) -> None:
    """Tree, texts, a tool call, tokens, a stream and a failure arrive as the agent sent them."""
    ended = subprocess.run(
        [NODE, "agent.js"],
        cwd=folder,
        env=os.environ
        | {
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_ENDPOINT": live_server.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization={quote(f'Bearer {live_server.token}')}",
            "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.4",
            "OTEL_SERVICE_NAME": "in-javascript",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    config = HttpClientConfig(api_url=live_server.url, api_token=live_server.token)
    async with PrefactorHttpClient(config) as client:
        runs = client.agent_instances.iterate(agent_id="in-javascript")
        (run,) = [each async for each in runs]
        found = client.agent_spans.iterate(agent_instance_id=run.id)
        spans = sorted([each async for each in found], key=lambda each: each.started_at)

    agent, calls, tool, streamed, refused = spans
    assert [(each.schema_name, each.status) for each in spans] == [
        ("otel:agent", "complete"),
        ("otel:llm", "complete"),
        ("otel:tool", "complete"),
        ("otel:llm", "complete"),
        ("otel:llm", "failed"),
    ]
    assert {each.parent_span_id for each in spans[1:]} == {agent.id}
    assert calls.payload["messages"][0]["parts"][0]["content"] == "What is 1 and 2?"
    assert calls.payload["parameters"] == {"temperature": 0.5}
    assert calls.result_payload["tool_calls"] == [
        {"id": "c1", "name": "add", "arguments": {"a": 1, "b": 2}}
    ]
    assert (tool.tool_name, tool.result_payload["output"]) == ("add", 3)
    assert streamed.result_payload["text"] == "It is 3."
    assert streamed.result_payload["time_to_first_token"] == 0.25
    assert [each.total_tokens for each in (calls, streamed)] == [7, 7]
    assert refused.result_payload["error"]["message"] == "no more credit"
    assert (run.status, run.metadata) == ("complete", {"session_id": "s-1"})
