"""`prefactor` against a server with known runs."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from live_server import PROGRAM, LiveServer
from patience import patience
from prefactor_http import AgentInstance, HttpClientConfig, PrefactorHttpClient

PREFACTOR = PROGRAM.with_name("prefactor")
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202etxt.exe\u2066\x9b31m"
LARGE = "large-run"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, object]]:
        """The JSON objects that it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Recorded:
    """A server with four runs: a complete, a failed, an active and a large one."""

    server: LiveServer
    complete: str
    failed: str
    active: str


Call = Callable[..., Ended]
"""Runs the command with arguments."""


async def record(client: PrefactorHttpClient) -> tuple[str, str, str]:
    """Record the runs, one of them with two pages of spans; return the ids of the first three."""
    good = await client.agent_instances.register(
        "polite-agent",
        {"name": "Polite", "external_identifier": "v1"},
        {
            "external_identifier": "s1",
            "span_type_schemas": [
                {"name": "tool:say", "params_schema": {}, "template": "says {{ word }}"}
            ],
            "quality_schemas": [{"name": "helpful", "schema": {}, "template": "{{ score }}"}],
        },
        external_identifier="polite-1",
        metadata={"release": "v7"},
    )
    await client.agent_instances.start(good.id, NOON)
    await client.agent_spans.create(
        good.id,
        "tool:say",
        "complete",
        {"word": "marmalade"},
        {"heard": True},
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=1),
    )
    await client.agent_instances.finish(good.id, timestamp=NOON + timedelta(seconds=90))
    await client.agent_instances.record_quality(good.id, "helpful", {"score": 0.5})

    bad = await client.agent_instances.register(
        "hostile-agent", {"name": HOSTILE, "external_identifier": "v1"}, {}
    )
    await client.agent_instances.start(bad.id)
    await client.agent_spans.create(
        bad.id,
        "tool:break",
        "failed",
        {"text": HOSTILE, "error": {"error_type": HOSTILE, "message": f"{HOSTILE}\n{HOSTILE}"}},
        id="hostile-span",
    )
    await client.agent_instances.finish(bad.id, "failed")

    active = await client.agent_instances.register("polite-agent", {"external_identifier": "v2"})
    await client.agent_instances.start(active.id)

    large = await client.agent_instances.register("large-agent", {}, {}, id=LARGE)
    await client.agent_instances.start(large.id)
    await asyncio.gather(
        *(
            client.agent_spans.create(large.id, "step", "complete", {"n": n, "fill": "x" * 1000})
            for n in range(120)
        )
    )
    await client.agent_instances.finish(large.id)
    # Texts are indexed a moment after they are recorded.
    async with asyncio.timeout(patience(60)):
        while not (await client.agent_instances.list(text="marmalade")).summaries:  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.05)
    return good.id, bad.id, active.id


async def record_runs(server: LiveServer) -> tuple[str, str, str]:
    """Record the runs on a server."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        return await record(client)


def process(server: LiveServer, *arguments: str) -> subprocess.Popen[str]:
    """Start the command as a separate process."""
    return subprocess.Popen(
        [PREFACTOR, *arguments],
        env=server.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def once(server: LiveServer, name: str, *arguments: object, **named: object) -> AgentInstance:
    """Call one method of `client.agent_instances`."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        return await getattr(client.agent_instances, name)(*arguments, **named)


async def one_run(server: LiveServer, agent: str) -> str:
    """Begin a run and return its id."""
    run_id = (await once(server, "register", agent, {}, {})).id
    await once(server, "start", run_id)
    return run_id


def of_type(lines: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The lines of an export that have a type."""
    return [line for line in lines if line["type"] == name]
