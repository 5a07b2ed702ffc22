"""Claim: a typed `agent_spans.create` costs little more CPU than the bytes it moves.

Floor: bare aiohttp in the same process, which posts the very bytes and headers that the client
sends and reads bytes back: no models, no new key, no retries. The server is a separate process
that only counts bytes; what is measured is the CPU time of this process alone.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
from harness import Figure, companion, finish, first_line, interleave_async

from prefactor_http import HttpClientConfig, PrefactorHttpClient
from prefactor_http.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GOAL, GATE = 1.15, 1.3
ROUNDS = 15
CALLS = 500
INSTANCE = "013xrzp12g3nqk8n0000000000000001"
PAYLOAD = {
    "model": "large-1",
    "temperature": 0.2,
    "messages": [
        {"role": "system", "content": "You are a careful assistant that answers in one sentence."},
        {"role": "user", "content": "Summarise the quarterly report for the people in sales."},
    ],
    "span_id": "a1b2c3d4e5f60718",
    "tags": ["report", "summary"],
}


async def recorded() -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers that the client sends for `PAYLOAD`."""
    async with ScriptedServer() as server, PrefactorHttpClient(server.config()) as client:
        await client.agent_spans.create(
            server.add_instance(), "agent:llm", "active", payload=PAYLOAD
        )
    [request] = server.requests
    by_aiohttp = {"host", "user-agent", "accept-encoding", "content-length"}
    kept = {name: value for name, value in request.headers.items() if name not in by_aiohttp}
    return request.body, kept


async def cpu(call: Callable[[], Awaitable[object]], in_flight: int) -> float:
    """Return the CPU seconds of `CALLS` calls, `in_flight` of them at a time."""

    async def worker() -> None:
        for _ in range(CALLS // in_flight):
            await call()

    before = time.process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return time.process_time() - before


async def measure(url: str) -> list[Figure]:
    """Measure one call at a time, then 50 in flight."""
    body, headers = await recorded()
    figures: list[Figure] = []
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        PrefactorHttpClient(HttpClientConfig(url, "token")) as client,
    ):

        async def floor() -> None:
            async with session.post(f"{url}/api/v1/agent_spans", data=body) as response:
                await response.read()

        async def subject() -> None:
            await client.agent_spans.create(INSTANCE, "agent:llm", "active", payload=PAYLOAD)

        for name, in_flight in (("one at a time", 1), ("50 in flight", 50)):
            rounds = await interleave_async(
                ROUNDS, partial(cpu, floor, in_flight), partial(cpu, subject, in_flight)
            )
            rounds.describe(f"CPU of a call, {name}", per=CALLS)
            figures.append(Figure(f"CPU of a typed call, {name}", rounds.ratio, GOAL, GATE))
    return figures


def main() -> None:
    """Measure against a responder in another process."""
    with companion("responder.py") as responder:
        figures = asyncio.run(measure(first_line(responder)))
    finish(*figures)


if __name__ == "__main__":
    main()
