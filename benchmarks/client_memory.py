"""Claim: the memory of a long-lived client does not grow.

The resident memory of this process is sampled between 20,000 and 100,000 typed calls, 50 in
flight, and its slope is the figure. The smallest thing a call could leave behind, an empty object
in a list, takes more than 16 bytes; below that is only the noise of the allocator.
"""

from __future__ import annotations

import asyncio
import gc
import statistics

import psutil
from client_call_cpu import INSTANCE, PAYLOAD
from harness import Figure, companion, finish, first_line

from prefactor_http import HttpClientConfig, PrefactorHttpClient

IN_FLIGHT = 50
STEP, FIRST, LAST = 10_000, 20_000, 100_000
LIMIT = 16.0


async def measure(url: str) -> float:
    """Return the growth in bytes per call."""
    samples: list[tuple[int, int]] = []
    process = psutil.Process()
    async with PrefactorHttpClient(HttpClientConfig(url, "token")) as client:

        async def worker() -> None:
            for _ in range(STEP // IN_FLIGHT):
                await client.agent_spans.create(INSTANCE, "agent:llm", "active", payload=PAYLOAD)

        for calls in range(STEP, LAST + 1, STEP):
            await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
            gc.collect()
            resident = process.memory_info().rss
            print(f"after {calls:7,} calls: {resident / 1024:,.0f} KiB")
            if calls >= FIRST:
                samples.append((calls, resident))
    slope: float = statistics.linear_regression(*zip(*samples, strict=True)).slope
    return slope


def main() -> None:
    """Measure against a responder in another process."""
    with companion("responder.py") as responder:
        slope = asyncio.run(measure(first_line(responder)))
    print(f"slope: {slope:.2f} bytes per call")
    finish(Figure("growth of memory per call", round(max(slope, 0.0), 1), LIMIT, LIMIT, "bytes"))


if __name__ == "__main__":
    main()
