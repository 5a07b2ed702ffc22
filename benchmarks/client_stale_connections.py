"""Claim: no POST is lost or doubled when the server closes idle connections at that moment.

1,600 POSTs, each timed to the instant at which the server gives up the idle connection it will
use. The client may not retry (`max_retries=0`): what saves these calls is the replay on a fresh
connection. The server applies whatever arrives, so a write that was sent twice counts twice.
For scale, bare aiohttp posts the same to a server of its own.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import TYPE_CHECKING

import aiohttp
from harness import Figure, companion, finish, first_line

from prefactor_http import HttpClientConfig, PrefactorHttpClient, PrefactorHttpError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Awaitable, Callable

    Write = Callable[[str], Awaitable[object]]

IDLE_LIMIT = 0.05
TASKS, POSTS = 16, 100


async def errors(write: Write) -> Counter[str]:
    """Return which errors 1,600 timed writes meet, by class."""
    met: Counter[str] = Counter()

    async def task(number: int) -> None:
        chooser = random.Random(number)
        for n in range(POSTS):
            try:
                await write(f"{number}-{n}")
            except (PrefactorHttpError, aiohttp.ClientError, TimeoutError) as error:
                met[type(error).__name__] += 1
            await asyncio.sleep(IDLE_LIMIT + chooser.uniform(-0.002, 0.002))

    await asyncio.gather(*map(task, range(TASKS)))
    return met


async def with_client(url: str, instance: str) -> Counter[str]:
    """Count the errors of our client."""
    config = HttpClientConfig(url, "test-token", max_retries=0)
    async with PrefactorHttpClient(config) as client:

        async def write(name: str) -> None:
            payload = {"write": name}
            await client.agent_spans.create(instance, "s", "active", payload=payload)

        return await errors(write)


async def with_aiohttp(url: str, instance: str) -> Counter[str]:
    """Count the errors of bare aiohttp."""
    headers = {"Authorization": "Bearer test-token"}
    async with aiohttp.ClientSession(url, headers=headers) as session:

        async def write(name: str) -> None:
            details = {
                "agent_instance_id": instance,
                "schema_name": "s",
                "status": "active",
                "payload": {"write": name},
            }
            async with session.post("/api/v1/agent_spans", json={"details": details}) as response:
                await response.read()

        return await errors(write)


def run(
    posting: Callable[[str, str], Awaitable[Counter[str]]],
) -> tuple[Counter[str], Counter[str]]:
    """Return the errors of one way to post, and what its server applied."""
    with companion("scripted.py", str(IDLE_LIMIT)) as server:
        url, instance = first_line(server).split()

        async def post() -> Counter[str]:
            return await posting(url, instance)

        met = asyncio.run(post())
        return met, applied(server)


def applied(server: subprocess.Popen[str]) -> Counter[str]:
    """Return how often the server applied each write, by name."""
    assert server.stdin is not None
    server.stdin.close()
    return Counter(json.loads(first_line(server)))


def main() -> None:
    """Post with bare aiohttp, then with the client."""
    bare, _ = run(with_aiohttp)
    print(f"bare aiohttp: {bare.total()} errors in {TASKS * POSTS} posts {dict(bare)}")
    met, writes = run(with_client)
    failed = met.total()
    duplicates = writes.total() - len(writes)
    missing = TASKS * POSTS - failed - len(writes)
    print(f"client: {failed} errors {dict(met)}, {duplicates} duplicates, {missing} missing")
    finish(
        Figure("stale connections: errors", failed + max(missing, 0), 0, 0, "of 1,600"),
        Figure("stale connections: duplicates", duplicates, 0, 0, "of 1,600"),
    )


if __name__ == "__main__":
    main()
