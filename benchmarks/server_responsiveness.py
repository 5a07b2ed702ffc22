"""Claim: `/healthz` answers within a tenth of a second while a costly request is prepared.

The costly requests are those that once held up every caller for a minute: many large schemas in one
registration, and a bulk of spans whose template loops over an expensive filter. The floor is the
slowest of as many probes of the same server when it is idle.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from harness import Figure, finish
from loadgen import Connection, Server, request, servers

SPANS, TYPES, PROPERTIES = 400, 40, 3_000
LOOP = "{% for a in (1..200) %}{{ s | escape_once | size }}{% endfor %}"
PROBE = request("GET", "/healthz")


def registration(run_id: str, types: list[dict[str, Any]]) -> bytes:
    """A run of an agent of its own, with span types."""
    schema = {"external_identifier": run_id, "span_type_schemas": types}
    fields = {"id": run_id, "agent_id": run_id, "agent_schema_version": schema}
    return request("POST", "/api/v1/agent_instance/register", fields)


def large_schemas() -> list[dict[str, Any]]:
    """Span types of eight megabytes of JSON in all."""
    text = {"type": "string", "description": "in some words"}
    properties = {f"property_{number}": text for number in range(PROPERTIES)}
    return [
        {"name": f"t{number}", "params_schema": {"title": str(number), "properties": properties}}
        for number in range(TYPES)
    ]


def costly_spans(run_id: str) -> bytes:
    """A bulk of spans whose summary takes all the steps that a request may take."""
    items = [
        {
            "_type": "agent_spans/create",
            "idempotency_key": f"{run_id}-{number:06}",
            "agent_instance_id": run_id,
            "schema_name": "t0",
            "status": "complete",
            "payload": {"s": "ab&a" * 512},
        }
        for number in range(SPANS)
    ]
    return request("POST", "/api/v1/bulk", {"items": items})


async def sent(server: Server, document: bytes) -> None:
    """Send one request that has to succeed."""
    connection = await Connection.open(server.port)
    answer = await connection.send(document)
    connection.close()
    assert b'"status":"success"' in answer, answer[:500]
    assert b'"status":"error"' not in answer, answer[:500]


async def worst_probe_ms(server: Server, meanwhile: Coroutine[Any, Any, None]) -> float:
    """The slowest probe while something else happens."""
    task = asyncio.ensure_future(meanwhile)
    connection = await Connection.open(server.port)
    worst = 0.0
    probes = 0
    while not task.done():
        before = time.perf_counter()
        await connection.send(PROBE)
        worst = max(worst, time.perf_counter() - before)
        probes += 1
        await asyncio.sleep(0.005)
    await task
    connection.close()
    assert probes > 10, "the request was over before it was watched"
    return worst * 1e3


async def measure(server: Server) -> tuple[float, float, float]:
    """The slowest probe of an idle server, during the registration and during the bulk."""
    types = [{"name": "t0", "params_schema": {}, "template": LOOP}]
    await sent(server, registration("looping", types))
    # Encoded before the watch begins: this process answers for the time of its own work.
    large, bulk = registration("large", large_schemas()), costly_spans("looping")
    idle = await worst_probe_ms(server, asyncio.sleep(1))
    registering = await worst_probe_ms(server, sent(server, large))
    rendering = await worst_probe_ms(server, sent(server, bulk))
    return idle, registering, rendering


def main() -> None:
    """Measure SQLite: preparing a request does not depend on the database."""
    with servers("sqlite") as started:
        idle, registering, rendering = asyncio.run(measure(started[0]))
    floor = round(idle, 1)
    finish(
        Figure("probe during 40 large schemas", round(registering, 1), 50, 100, "ms", floor),
        Figure("probe during 400 costly summaries", round(rendering, 1), 50, 100, "ms", floor),
    )


if __name__ == "__main__":
    main()
