"""Claim: a span that comes alone is durable within a millisecond, and thousands come a second.

One client that sends a span after the other shows what a single write costs; sixty-four at once
show how much the writes of strangers share a commit. The floor is a bare ASGI application that
reads the same requests and answers at once.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence

from harness import Figure, finish
from loadgen import Load, Server, Spans, new_run, send_all, servers
from server_bulk import bare_application

ROUNDS = 5
ALONE = 400
TOGETHER, EACH = 64, 40


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


def main() -> None:
    """Measure both backends and the floor."""
    with bare_application() as bare:
        floor = asyncio.run(measure(bare, [f"run-{n}" for n in range(TOGETHER)]))
    print(f"floor, a bare ASGI reply: p50 {floor[0]:.2f} ms, {floor[1]:,.0f} requests/s")
    figures: dict[str, tuple[float, float]] = {}
    for backend in ("sqlite", "postgresql"):
        with servers(backend) as started:
            figures[backend] = asyncio.run(on_runs(started[0]))
        latency, rate = figures[backend]
        print(f"{backend}: p50 {latency:.2f} ms, {rate:,.0f} requests/s")
    latency, rate = figures["sqlite"]
    finish(
        Figure(
            "single span, 64 clients, SQLite",
            round(rate),
            5_000,
            2_500,
            "requests/s",
            round(floor[1]),
        ),
        Figure(
            "single span, one client, SQLite: p50",
            round(latency, 2),
            1.0,
            2.0,
            "ms",
            round(floor[0], 2),
        ),
    )


if __name__ == "__main__":
    main()
