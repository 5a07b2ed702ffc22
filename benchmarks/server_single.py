"""Claim: a span that is written alone waits for little besides the disk.

One client that sends one span after another shows what a single write costs. Sixty-four at once
show how well the writes of different clients share commits. The floors are a bare ASGI application
that reads the same requests and answers at once, and, for one client, the time in which as many
bytes as a commit writes reach the disk.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence

from harness import Figure, finish
from loadgen import Load, Server, Spans, new_run, send_all, servers
from server_bulk import bare_application

ROUNDS = 5
ALONE = 400
TOGETHER, EACH = 64, 40
COMMIT_BYTES = 12 * 4096
"""What the commit of one span appends to the write-ahead log: 51 kB were measured."""


async def alone(port: int, maker: Spans) -> Load:
    """One client, one span after the other."""
    return await send_all([port], [[maker.single() for _ in range(ALONE)]])


async def together(port: int, makers: Sequence[Spans]) -> Load:
    """Sixty-four clients at once."""
    return await send_all([port], [[maker.single() for _ in range(EACH)] for maker in makers])


async def measure(server: Server, run_ids: Sequence[str]) -> tuple[float, float]:
    """The median latency of one client in milliseconds, and requests a second of many."""
    makers = [Spans(run_id) for run_id in run_ids]
    latencies: list[float] = []
    rates: list[float] = []
    for number in range(-1, ROUNDS):
        one = await alone(server.port, makers[0])
        many = await together(server.port, makers)
        if number >= 0:
            latencies.append(one.latency_ms(0.5))
            rates.append(TOGETHER * EACH / many.seconds)
    return statistics.median(latencies), statistics.median(rates)


async def on_runs(server: Server) -> tuple[float, float]:
    """Measure a real server, each client with a run of its own."""
    return await measure(server, [await new_run(server.port) for _ in range(TOGETHER)])


def sync_ms() -> float:
    """Return the median time to append a commit's bytes to a file and sync it, in milliseconds."""
    times: list[float] = []
    with tempfile.TemporaryFile(prefix="prefactor-bench-") as file:
        data = bytes(COMMIT_BYTES)
        for _ in range(ALONE):
            before = time.perf_counter()
            os.write(file.fileno(), data)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - before) * 1e3)
    return statistics.median(times)


def main() -> None:
    """Measure both backends and the floor."""
    with bare_application() as bare:
        floor = asyncio.run(measure(bare, [f"run-{n}" for n in range(TOGETHER)]))
    sync = sync_ms()
    print(f"floor, a bare ASGI reply: p50 {floor[0]:.2f} ms, {floor[1]:,.0f} requests/s")
    print(f"floor, a commit's bytes to the disk: p50 {sync:.2f} ms")
    figures: dict[str, tuple[float, float]] = {}
    for backend in ("sqlite", "postgresql"):
        with servers(backend) as started:
            figures[backend] = asyncio.run(on_runs(started[0]))
        latency, rate = figures[backend]
        print(f"{backend}: p50 {latency:.2f} ms, {rate:,.0f} requests/s")
    latency, rate = figures["sqlite"]
    finish(
        Figure("single span, 64 clients, SQLite ÷ bare reply", rate / floor[1], 0.25, 0.16),
        Figure(
            "single span, one client, SQLite: p50 ÷ (sync + bare reply)",
            latency / (sync + floor[0]),
            2,
            4,
        ),
    )


if __name__ == "__main__":
    main()
