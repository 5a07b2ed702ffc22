"""Recorder and server have the same depth limit: only what is deeper is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from live_server import LiveServer
from prefactor_http import AgentSpan, HttpClientConfig, PrefactorHttpClient
from prefactor_recorder import Recorder, SpanTypes

MARK = "prefactor.truncated"


def nested(levels: int, kind: str = "object") -> Any:
    """A value of that many levels."""
    value: Any = 1
    for _ in range(levels):
        value = {"in": value} if kind == "object" else [value]
    return value


def nested_schema(objects: int) -> dict[str, Any]:
    """A schema of that many objects inside each other."""
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(objects - 1):
        schema = {"type": "object", "properties": {"in": schema}, "required": ["in"]}
    return schema


async def spans_of(server: LiveServer, run_id: str) -> list[AgentSpan]:
    """Return the server's spans of a run."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        return [each async for each in client.agent_spans.iterate(agent_instance_id=run_id)]


@pytest.mark.parametrize("kind", ["object", "list"])
@pytest.mark.parametrize("levels", [95, 96, 97, 98, 99, 101, 154, 254, 300, 3_000])
async def test_a_span_of_any_depth_is_delivered(
    live_server: LiveServer, tmp_path: Path, levels: int, kind: str
) -> None:
    """Payload, result, items, arguments and an item of JSON text are cut where too deep."""
    types = SpanTypes()

    @types.trace("agent:tool")
    def steps(given: Any) -> Iterator[Any]:
        yield given

    value = nested(levels, kind)
    with Recorder(live_server.url, live_server.token, spool_dir=tmp_path) as recorder:
        with recorder.run("deep", span_types=[types]) as run:
            with run.span("agent:llm", {"value": value}) as span:
                span.set_result({"value": [value]})
            list(steps(value))
            with run.span("agent:odd", {1: value}):
                pass
        assert recorder.flush(60) == 0
        assert recorder.stats().dead_lettered == 0

    spans = await spans_of(live_server, run.id)
    assert [span.schema_name for span in spans] == ["agent:llm", "agent:tool", "agent:odd"]
    for span in spans:
        assert (MARK in span.payload) == (levels > 95), span.payload
    assert json.dumps(spans[0].result_payload).count('"in"') <= 96


@pytest.mark.parametrize("objects", [48, 64, 65, 90, 200, 1_000])
async def test_a_schema_of_any_depth_keeps_the_run(
    live_server: LiveServer, tmp_path: Path, objects: int
) -> None:
    """64 nested objects are checked, and a deeper schema becomes one that accepts anything."""
    types = SpanTypes()
    types.span_type("agent:deep", nested_schema(objects))
    with Recorder(live_server.url, live_server.token, spool_dir=tmp_path) as recorder:
        with (
            recorder.run("deep schema", span_types=[types]) as run,
            run.span("agent:deep", {"in": {"in": 1}}),
        ):
            pass
        assert recorder.flush(60) == 0
        assert recorder.stats().dead_lettered == 0

    (span,) = await spans_of(live_server, run.id)
    found = span.payload_validation or {}
    assert (found["status"] == "success") is (objects > 64), found
