"""Runs for tests of the pages, recorded through the public client."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from live_server import LiveServer
from patience import patience
from prefactor_http import HttpClientConfig, PrefactorHttpClient

START = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
TYPES = [
    {"name": "support:agent", "title": "Run", "params_schema": {}, "template": "{{ goal }}"},
    {
        "name": "agent:llm",
        "title": "Model call",
        "params_schema": {"type": "object", "properties": {"temperature": {"type": "number"}}},
        "result_schema": {},
        "template": "{{ prompt }}",
    },
    {
        "name": "agent:tool",
        "title": "Tool",
        "params_schema": {},
        "result_schema": {},
        "template": "{{ query }}",
    },
    {
        "name": "human:approval",
        "title": "Approval",
        "params_schema": {},
        "result_schema": {},
        "template": "{{ query }}",
    },
]
HOUR = 3_600_000
YEAR = 365 * 24 * HOUR


@dataclass
class Span:
    """One span to record: times in milliseconds after the start of the run."""

    id: str
    type: str
    payload: dict[str, Any]
    parent: str | None = None
    start: int = 0
    took: int | None = 10
    status: str = "complete"
    result: dict[str, Any] = field(default_factory=dict[str, Any])


def support_run() -> list[Span]:
    """Record a small run: two model calls, one invalid under its schema, and a failed tool."""
    return [
        Span("root", "support:agent", {"goal": "Clear the backlog"}, took=9_000),
        Span("plan", "agent:llm", {"prompt": "Plan the refund"}, "root", 100, 2_000),
        Span(
            "search",
            "agent:tool",
            {"tool": "search_documents", "query": "refund policy"},
            "plan",
            200,
            500,
            "failed",
            {"error": "TimeoutError"},
        ),
        Span(
            "reply",
            "agent:llm",
            {"prompt": "Write the reply", "temperature": "hot"},
            "root",
            3_000,
            4_000,
            result={
                "response": "Good day",
                "usage": {"prompt_tokens": 120, "completion_tokens": 7},
            },
        ),
    ]


def steps(start: int, before: str) -> list[Span]:
    """Ten steps of a second each, from a time on."""
    return [
        Span(f"{before}{n}", "agent:tool", {"query": f"step {n}"}, "root", start + 1000 * n, 900)
        for n in range(10)
    ]


def work(took: int = 10_000) -> list[Span]:
    """Record ten steps below a root."""
    return [Span("root", "support:agent", {"goal": "Work"}, took=took), *steps(0, "first")]


def waiting_run() -> list[Span]:
    """Record ten steps, a night until a person has approved, and ten more."""
    approval = {"query": "Approve the refund"}
    wait = Span("wait", "human:approval", approval, "root", 10_000, 10 * HOUR - 10_000)
    return [*work(10 * HOUR + 10_000), wait, *steps(10 * HOUR, "then")]


async def record(
    server: LiveServer,
    spans: Sequence[Span] = (),
    *,
    status: str | None = "complete",
    agent: str = "support-bot",
    types: Sequence[dict[str, Any]] = TYPES,
    quality_schemas: Sequence[dict[str, Any]] = (),
    **registration: Any,
) -> str:
    """Record a run; ids of spans get the run's id in front. Returns the run's id."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        run = await client.agent_instances.register(
            agent_id=agent,
            agent_version={"external_identifier": "2.4.1", "name": agent},
            agent_schema_version={
                "external_identifier": "pages",
                "span_type_schemas": list(types),
                "quality_schemas": list(quality_schemas),
            },
            id=f"run-{uuid4().hex[:12]}",
            **registration,
        )
        await client.agent_instances.start(run.id, timestamp=START)
        for span in spans:
            began = START + timedelta(milliseconds=span.start)
            ended = None if span.took is None else began + timedelta(milliseconds=span.took)
            await client.agent_spans.create(
                agent_instance_id=run.id,
                id=f"{run.id}.{span.id}",
                parent_span_id=span.parent and f"{run.id}.{span.parent}",
                schema_name=span.type,
                status="active" if ended is None else span.status,
                payload=span.payload,
                result_payload=None if ended is None else span.result,
                started_at=began,
                finished_at=ended,
            )
        if status is not None:
            end = START + timedelta(seconds=10)
            await client.agent_instances.finish(run.id, status=status, timestamp=end)
    return run.id


async def derived(server: LiveServer, run_id: str, text: str) -> None:
    """Wait until the server has counted a run and indexed its words, a moment after its end."""
    async with (
        PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client,
        asyncio.timeout(patience(60)),
    ):
        while True:
            page = await client.agent_instances.list(text=text, include_totals=True)
            found = {run.id: run.raw for run in page.summaries}
            if run_id in found and found[run_id]["total_tokens"] is not None:
                return
            await asyncio.sleep(0.05)
