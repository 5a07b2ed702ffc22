"""Claim: an item of a bulk request costs no more among a thousand than among fewer, in any mix.

The same thousand items are sent in requests of ten, of a hundred and of a thousand, in turns, to a
server whose agent has registered without a schema and then with one. The floor of each ratio is the
server's own CPU per item in the smaller requests, in whichever it is less: among ten, an item also
pays for much of its request and commit.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice
from typing import Any, TypeAlias

from harness import Figure, finish
from loadgen import SPAN_TYPES, Connection, Server, new_run, request, servers

Item: TypeAlias = dict[str, Any]

FEW, SOME, MANY = 10, 100, 1_000
ROUNDS = 5
QUALITY_BYTES = 900
AGENT = "growing"
SCHEMA = {"external_identifier": "v1", "span_type_schemas": SPAN_TYPES}
PAYLOAD = {"model": "m", "prompt": "What the agent was asked"}

_numbers = count()


def item(kind: str, **fields: Any) -> Item:
    """One item with a key of its own."""
    return {"_type": kind, "idempotency_key": f"item-{next(_numbers):09}", **fields}


def runs(**schema: Any) -> Iterator[Item]:
    """Whole runs: registered, started, one span, finished; ten items in two runs and a half."""
    while True:
        run_id = f"grown-{next(_numbers)}"
        yield item("agent_instances/register", agent_id=AGENT, id=run_id, **schema)
        yield item("agent_instances/start", agent_instance_id=run_id)
        yield span(run_id)
        yield item("agent_instances/finish", agent_instance_id=run_id)


def alternating() -> Iterator[Item]:
    """Runs that declare their schema and runs that do not, in turns."""
    declaring, silent = runs(agent_schema_version=SCHEMA), runs()
    while True:
        yield from islice(declaring, 4)
        yield from islice(silent, 4)


def span(run_id: str, **fields: Any) -> Item:
    """A span of a declared type."""
    fields = {"agent_instance_id": run_id, "schema_name": "agent:llm", "payload": PAYLOAD, **fields}
    return item("agent_spans/create", **fields)


def spans(run_id: str) -> Iterator[Item]:
    """Spans that are created and finished one after the other."""
    while True:
        span_id = f"span-{next(_numbers)}"
        yield span(run_id, id=span_id)
        yield item("agent_spans/finish", agent_span_id=span_id, result_payload={"text": "hi"})


def quality(size: int) -> Iterator[Item]:
    """What evaluations say of one run for each request of a size, each under a name of its own."""
    while True:
        run_id = f"judged-{next(_numbers)}"
        yield item("agent_instances/register", agent_id=AGENT, id=run_id)
        for number in range(1, size):
            fields = {"name": f"check-{number}", "payload": {"text": "x" * QUALITY_BYTES}}
            yield item("agent_instances/record_quality", agent_instance_id=run_id, **fields)


async def cost(server: Server, items: Iterator[Item], size: int) -> float:
    """The server's CPU microseconds for each of a thousand items, in requests of a size."""
    requests = [
        request("POST", "/api/v1/bulk", {"items": list(islice(items, size))})
        for _ in range(MANY // size)
    ]
    connection = await Connection.open(server.port)
    before = server.cpu_seconds
    for one in requests:
        answer = await connection.send(one)
        assert answer.count(b'"status":"error"') == 0, answer[:500]
    taken = server.cpu_seconds - before
    connection.close()
    return taken / MANY * 1e6


async def ratio(server: Server, mixes: Mapping[int, Iterator[Item]]) -> float:
    """The cost of an item among many over that among fewer."""
    costs: list[list[float]] = []
    for _ in range(1 + ROUNDS):
        costs.append([await cost(server, mixes[size], size) for size in mixes])
        shown = zip(costs[-1], (FEW, SOME, MANY), strict=True)
        print(", ".join(f"{taken:.0f} µs among {size}" for taken, size in shown), flush=True)
    # The CPU time of a process is counted in hundredths of a second, so rounds are added up.
    few, some, many = (statistics.mean(one[size] for one in costs[1:]) for size in range(3))
    return many / min(few, some)


async def measure(server: Server) -> dict[str, float]:
    """The ratio of each mix."""
    connection = await Connection.open(server.port)
    for declared in ({}, {"agent_schema_version": SCHEMA}):
        register = {"agent_id": AGENT, **declared}
        await connection.send(request("POST", "/api/v1/agent_instance/register", register))
    connection.close()
    mixes: dict[str, Callable[[str, int], Iterator[Item]]] = {
        "spans that are created and finished": lambda run_id, _: spans(run_id),
        "runs that declare nothing": lambda _, __: runs(),
        "runs that declare their schema": lambda _, __: runs(agent_schema_version=SCHEMA),
        "runs of both kinds in turns": lambda _, __: alternating(),
        "records of quality": lambda _, size: quality(size),
    }
    ratios: dict[str, float] = {}
    for name, mix in mixes.items():
        print(name, flush=True)
        run_id = await new_run(server.port)
        ratios[name] = await ratio(server, {size: mix(run_id, size) for size in (FEW, SOME, MANY)})
    return ratios


def main() -> None:
    """Compare small requests with a large one."""
    with servers("sqlite") as (server,):
        ratios = asyncio.run(measure(server))
    finish(
        *(
            Figure(f"an item among {MANY:,} over one among fewer: {name}", value, 1.1, 1.3)
            for name, value in ratios.items()
        )
    )


if __name__ == "__main__":
    main()
