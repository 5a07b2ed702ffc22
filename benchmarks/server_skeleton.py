"""Claim: a page of spans is there within ten milliseconds, a run's skeleton within a hundred.

A list of 100 spans with their payloads, and the skeleton of a run of 10,000, both with everything
that the server does for a request, over a connection that is kept; the floor is a bare ASGI reply
of a few bytes. The skeleton of 100,000 spans is printed as well: it has no goal of its own, but is
sent compressed to callers that ask, which divides its size and must not multiply the server's CPU.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Sequence

from harness import Figure, finish
from loadgen import Connection, Server, new_run, request, servers
from server_bulk import bare_application

ROUNDS = 15
ENCODED_ROUNDS = 5
SPANS, MANY, PART = 10_000, 100_000, 500
MODEL = {"model": "large-1", "prompt": "What the agent was asked, and a little of its context."}


def bulk(run_id: str, numbers: Sequence[int]) -> bytes:
    """Spans of a tree in which each has ten below it."""
    items = [
        {
            "_type": "agent_spans/create",
            "idempotency_key": f"{run_id}-{number}",
            "id": f"{run_id}-{number}",
            "parent_span_id": f"{run_id}-{number // 10}" if number else None,
            "agent_instance_id": run_id,
            "schema_name": "agent:llm",
            "status": "complete",
            "payload": MODEL,
        }
        for number in numbers
    ]
    return request("POST", "/api/v1/bulk", {"items": items})


async def filled_run(server: Server, size: int) -> str:
    """A run with spans."""
    run_id = await new_run(server.port)
    connection = await Connection.open(server.port)
    for start in range(0, size, PART):
        answer = await connection.send(bulk(run_id, range(start, start + PART)))
        assert b'"status":"error"' not in answer, answer[:500]
    connection.close()
    return run_id


async def median_ms(server: Server, path: str, rounds: int = ROUNDS) -> tuple[float, bytes]:
    """The median time of a request that is repeated, and its last answer."""
    asked = request("GET", path)
    connection = await Connection.open(server.port)
    answer = await connection.send(asked)
    seconds: list[float] = []
    for _ in range(rounds):
        before = time.perf_counter()
        answer = await connection.send(asked)
        seconds.append(time.perf_counter() - before)
    connection.close()
    return statistics.median(seconds) * 1e3, answer


async def skeleton_ms(server: Server, run_id: str, size: int, rounds: int = ROUNDS) -> float:
    """The median time of a skeleton, which has to be complete."""
    path = f"/api/v1/agent_instance/{run_id}/skeleton"
    took, answer = await median_ms(server, path, rounds)
    details = json.loads(answer)["details"]
    assert details["total"] == len(set(details["columns"]["id"])) == size
    return took


async def compressed(server: Server, run_id: str, coding: str) -> tuple[int, float]:
    """The size of a skeleton in a coding, and the seconds of CPU that the server spends on one."""
    asked = request("GET", f"/api/v1/agent_instance/{run_id}/skeleton")
    asked = asked.replace(b"\r\n", f"\r\nAccept-Encoding: {coding}\r\n".encode(), 1)
    connection = await Connection.open(server.port)
    answer = await connection.send(asked)
    before = server.cpu_seconds
    for _ in range(ENCODED_ROUNDS):
        answer = await connection.send(asked)
    spent = (server.cpu_seconds - before) / ENCODED_ROUNDS
    connection.close()
    return len(answer), spent


async def compression(server: Server, run_id: str) -> list[Figure]:
    """How much smaller a skeleton is in each coding, and how much more CPU it takes."""
    size, cpu = await compressed(server, run_id, "identity")
    print(f"skeleton of 100,000: {size / 1e6:.1f} MB, {cpu * 1e3:.0f} ms of CPU")
    figures: list[Figure] = []
    for coding, smallest in (("zstd", 4.0), ("gzip", 3.5)):
        small, spent = await compressed(server, run_id, coding)
        print(f"{coding}: {small / 1e6:.1f} MB, {spent * 1e3:.0f} ms of CPU")
        name = f"skeleton of 100,000 spans, {coding}"
        figures += [
            Figure(f"{name}: size, plain ÷ sent", round(size / small, 2), smallest, smallest / 2),
            Figure(f"{name}: server CPU ÷ plain", round(spent / cpu, 2), 1.3, 2),
        ]
    return figures


async def measure(server: Server) -> tuple[float, float, float, list[Figure]]:
    """A list of 100 spans, and the skeletons of 10,000 and of 100,000, in milliseconds."""
    run_id, large = await filled_run(server, SPANS), await filled_run(server, MANY)
    path = f"/api/v1/agent_spans?agent_instance_id={run_id}&pagination[page_size]=100"
    listed, answer = await median_ms(server, path)
    assert len(json.loads(answer)["summaries"]) == 100
    return (
        listed,
        await skeleton_ms(server, run_id, SPANS),
        await skeleton_ms(server, large, MANY, 3),
        await compression(server, large),
    )


def main() -> None:
    """Measure both backends."""
    figures: list[Figure] = []
    with bare_application() as bare:
        floor, _ = asyncio.run(median_ms(bare, "/", 200))
    floor = round(floor, 2)
    for backend, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        with servers(backend) as started:
            listed, skeleton, large, encoded = asyncio.run(measure(started[0]))
            memory = started[0].resident_mb
        print(
            f"{backend}: list {listed:.1f} ms, skeleton {skeleton:.1f} ms, of 100,000 {large:.0f}"
        )
        print(f"{backend}: resident after that {memory:.0f} MB")
        figures += [
            Figure(f"list of 100 spans, {name}", round(listed, 1), 10, 20, "ms", floor),
            Figure(f"skeleton of 10,000 spans, {name}", round(skeleton, 1), 100, 200, "ms", floor),
            *(encoded if backend == "sqlite" else ()),
        ]
    finish(*figures)


if __name__ == "__main__":
    main()
