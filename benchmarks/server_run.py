"""Claim: the answer about a long run costs the server hardly more than that about a short one.

The server's own CPU time for `GET /api/v1/agent_instance/{id}`, over a connection that is kept: of
an ended run of a hundred thousand spans, over that of a run of ten. Both are in one SQLite file,
filled past HTTP and checks, and the follower has counted them. Every answer must hold the number
and the tokens of all spans.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from filler import Filler
from harness import Figure, finish
from loadgen import Connection, Server, least_cpu_ms, request, server_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZES = (10, 100_000)
PART = 500
TURNS, REQUESTS = 7, 200
LIST = "/api/v1/agent_instance?min_cost=0"


async def fill(path: Path) -> list[str]:
    """Store an ended run of each size; return their ids."""
    filler = await Filler.open(path)
    runs: list[str] = []
    for size in SIZES:
        run = await filler.new_run()
        for start in range(0, size, PART):
            await filler.write(filler.spans(run, min(PART, size - start)))
        await filler.end(run, time.time_ns() // 1000)
        runs.append(run.id)
    await filler.close()
    return runs


async def followed(server: Server) -> None:
    """Wait until the follower has counted everything."""
    connection = await Connection.open(server.port)
    derived = None
    while derived != {"behind_seconds": 0.0, "complete": True}:
        await asyncio.sleep(0.2)
        derived = json.loads(await connection.send(request("GET", LIST)))["derived"]
    connection.close()


def counts(spans: int) -> Callable[[bytes], None]:
    """Return a check that an answer is about this number of spans."""

    def check(answer: bytes) -> None:
        details = json.loads(answer)["details"]
        assert details["span_schema_counts"]["by_name"] == {"agent:llm": spans}
        (model,) = details["cost_breakdown"]["by_model"]
        assert (model["spans"], model["prompt_tokens"]) == (spans, 210 * spans)

    return check


async def costs(server: Server, runs: Sequence[str]) -> list[float]:
    """The least CPU milliseconds of the server for an answer about each run, taken in turns."""
    await followed(server)
    least = [float("inf")] * len(SIZES)
    for _ in range(TURNS):
        for which, (run_id, size) in enumerate(zip(runs, SIZES, strict=True)):
            path = f"/api/v1/agent_instance/{run_id}"
            taken = await least_cpu_ms(server, path, 1, REQUESTS, counts(size))
            least[which] = min(least[which], taken)
    return least


def main() -> None:
    """Measure on SQLite."""
    with tempfile.TemporaryDirectory(prefix="prefactor-bench-") as folder:
        path = Path(folder) / "runs.db"
        runs = asyncio.run(fill(path))
        with server_on(path) as server:
            short, long = asyncio.run(costs(server, runs))
    print(f"{short:.2f} ms of CPU for a run of {SIZES[0]:,} spans, {long:.2f} for {SIZES[1]:,}")
    name = f"a run of {SIZES[1]:,} spans over one of {SIZES[0]:,}: server CPU"
    finish(Figure(name, round(long / short, 2), 1.3, 2))


if __name__ == "__main__":
    main()
