"""Claim: what a span costs does not grow with what is already stored, and a page stays quick.

A SQLite database is filled to a thousand spans, to ten thousand, a hundred thousand and a million.
At each size a server is started on it, and its own CPU per span is taken while clients send some
thousands more in bulk requests. The floor of every ratio is the cost at the first size, in the same
run; a page of a hundred spans is read at each, and has the first as its floor.

Filling leaves out HTTP and checks (see filler.py), and ends after FILLING seconds: on a machine
that is too slow, the figures say at what size they were taken. `server_growth.py 100000` stops
there.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from filler import Filler
from harness import Figure, finish
from loadgen import Connection, Server, Spans, new_run, request, send_all, server_on

SIZES = (1_000, 10_000, 100_000, 1_000_000)
FILLING = 180
RUN, PART = 1_000, 100
CLIENTS, SIZE, EACH = 8, 100, 3
SAMPLES = 5


async def fill(path: Path, stored: int, size: int, until: float) -> int:
    """Fill up a database to a size, or for as long as there is; how many spans it has then."""
    filler = await Filler.open(path)
    while stored < size and time.monotonic() < until:
        run = await filler.new_run()
        parts = [filler.spans(run, PART) for _ in range(min(RUN, size - stored) // PART)]
        await asyncio.gather(*(filler.write(part) for part in parts))
        stored += sum(map(len, parts))
    await filler.close()
    return stored


async def cost(server: Server, makers: list[Spans]) -> float:
    """CPU microseconds of the server per span, over some thousands of spans."""
    requests = [[maker.bulk(SIZE) for _ in range(EACH)] for maker in makers]
    before = server.cpu_seconds
    await send_all([server.port], requests)
    return (server.cpu_seconds - before) / (CLIENTS * EACH * SIZE) * 1e6


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


async def costs(server: Server) -> tuple[float, str]:
    """The median cost of a span on a server that has warmed up, and one of the runs."""
    run_ids = [await new_run(server.port) for _ in range(CLIENTS)]
    makers = [Spans(run_id) for run_id in run_ids]
    await cost(server, makers)
    return statistics.median([await cost(server, makers) for _ in range(SAMPLES)]), run_ids[0]


def measure(most: int) -> tuple[int, float, list[float]]:
    """The largest size, the cost there over that at the first, and pages' milliseconds."""
    until = time.monotonic() + FILLING
    stored, first, ratio = 0, 0.0, 1.0
    pages: list[float] = []
    with tempfile.TemporaryDirectory(prefix="prefactor-bench-") as folder:
        path = Path(folder) / "growing.db"
        for size in (*(one for one in SIZES if one < most), most):
            stored = asyncio.run(fill(path, stored, size, until))
            with server_on(path) as server:
                taken, run_id = asyncio.run(costs(server))
                pages.append(asyncio.run(page_ms(server, run_id)))
            first = first or taken
            ratio = taken / first
            print(
                f"{stored:>9,} spans: {taken:.0f} µs a span, {ratio:.2f}×; page {pages[-1]:.1f} ms",
                flush=True,
            )
            stored += CLIENTS * EACH * SIZE * (SAMPLES + 1)
    return stored, ratio, pages


def main() -> None:
    """Grow a database and watch."""
    stored, ratio, pages = measure(int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1])
    first, page = round(pages[0], 1), round(pages[-1], 1)
    finish(
        Figure(f"cost of a span at {stored:,} spans over that at {SIZES[0]:,}", ratio, 1.2, 1.5),
        Figure("a page of 100 spans, of that many", page, 10, 20, "ms", first),
    )


if __name__ == "__main__":
    main()
