"""Claim: what a span costs does not grow with what is stored already, and a page stays quick.

Bulk requests of a hundred spans fill a SQLite database up to a million spans. The server's own CPU
per span is taken around the first thousands and around each size after; the floor of every ratio
is the cost at the beginning of the same run. At the end, a page of a hundred spans is read.

`server_growth.py 100000` stops at that many.
"""

from __future__ import annotations

import asyncio
import statistics
import sys

from harness import Figure, finish
from loadgen import Connection, Server, Spans, new_run, request, send_all, servers

SIZE = 100
CLIENTS = 8
STEP = CLIENTS * SIZE * 5
SAMPLES = 3


async def cost(server: Server, makers: list[Spans]) -> float:
    """CPU microseconds of the server per span, over some thousands of spans."""
    requests = [[maker.bulk(SIZE) for _ in range(STEP // CLIENTS // SIZE)] for maker in makers]
    before = server.cpu_seconds
    await send_all([server.port], requests)
    return (server.cpu_seconds - before) / STEP * 1e6


async def page_ms(server: Server, run_id: str) -> float:
    """Milliseconds for the newest hundred spans of a run."""
    connection = await Connection.open(server.port)
    path = f"/api/v1/agent_spans?agent_instance_id={run_id}&pagination[page_size]=100&sorting=-id"
    loop = asyncio.get_running_loop()
    times: list[float] = []
    for _ in range(50):
        before = loop.time()
        await connection.send(request("GET", path))
        times.append(loop.time() - before)
    connection.close()
    return statistics.median(times) * 1e3


async def measure(server: Server, most: int) -> tuple[float, float]:
    """The cost at the largest size over that at the start, and the page's milliseconds."""
    stored, first, ratio, run_id = 0, 0.0, 1.0, ""
    milestone = STEP * SAMPLES
    while stored < most:
        # New runs as it grows, as in life: a run of a million spans is another question.
        run_ids = [await new_run(server.port) for _ in range(CLIENTS)]
        run_id = run_ids[0]
        makers = [Spans(one) for one in run_ids]
        if stored == 0:
            await cost(server, makers)
            stored += STEP
        samples = [await cost(server, makers) for _ in range(SAMPLES)]
        stored += STEP * SAMPLES
        if first == 0.0 or stored >= milestone:
            first = first or statistics.median(samples)
            ratio = statistics.median(samples) / first
            print(f"{stored:>9,} spans: {statistics.median(samples):.0f} µs a span, {ratio:.2f}×")
            milestone = max(milestone * 2, stored)
    return ratio, await page_ms(server, run_id)


def main() -> None:
    """Grow a database and watch."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with servers("sqlite") as started:
        ratio, page = asyncio.run(measure(started[0], most))
    finish(
        Figure(f"cost of a span at {most:,} spans over that at the start", ratio, 1.2, 1.5),
        Figure("a page of 100 spans", round(page, 1), 10, 20, "ms"),
    )


if __name__ == "__main__":
    main()
