"""A server that closes a connection just as the client reuses it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import aiohttp
import pytest

from prefactor_http import AgentSpan, PrefactorHttpClient, PrefactorHttpError
from prefactor_http.testing import Drop, Reset, ScriptedServer, Step

IDLE_LIMIT = 0.05
TASKS, POSTS = 8, 25


async def create(client: PrefactorHttpClient, instance: str, write: str = "w") -> AgentSpan:
    """Create one span."""
    return await client.agent_spans.create(instance, "s", "active", payload={"write": write})


async def test_posts_timed_to_the_idle_limit() -> None:
    """Posts that meet a closing connection succeed without retries, and each is processed once."""
    async with ScriptedServer(idle_limit=IDLE_LIMIT, idempotent=False) as server:
        instance = server.add_instance()
        async with PrefactorHttpClient(server.config(max_retries=0)) as client:

            async def task(number: int) -> None:
                chooser = random.Random(number)
                for n in range(POSTS):
                    await create(client, instance, f"{number}-{n}")
                    await asyncio.sleep(IDLE_LIMIT + chooser.uniform(-0.002, 0.002))

            await asyncio.gather(*map(task, range(TASKS)))

    writes = Counter(span["payload"]["write"] for span in server.spans.values())
    assert len(writes) == TASKS * POSTS
    assert set(writes.values()) == {1}


@pytest.mark.parametrize("step", [Drop(), Reset(), Drop(after="processing")])
async def test_a_keyed_post_is_replayed_outside_the_retry_count(step: Step) -> None:
    """A write on a lost pooled connection is resent under its key, whatever the retry settings."""
    async with ScriptedServer() as server:
        instance = server.add_instance()
        async with PrefactorHttpClient(server.config(max_retries=0)) as client:
            await create(client, instance)
            server.script(step)

            span = await create(client, instance, "second")

    _, lost, replay = server.requests
    assert lost.body == replay.body
    assert list(server.spans)[1:] == [span.id]


async def test_the_replay_uses_a_fresh_connection() -> None:
    """The replay opens a new connection, because another pooled one may be just as stale."""
    async with ScriptedServer() as server:
        instance = server.add_instance()
        async with PrefactorHttpClient(server.config(max_retries=0)) as client:
            await asyncio.gather(*(create(client, instance) for _ in range(5)))
            used = {request.connection for request in server.requests}
            server.script(Drop())

            await create(client, instance)

    *_, lost, replay = server.requests
    assert lost.connection in used
    assert replay.connection not in used


async def test_it_is_replayed_only_once() -> None:
    """When the fresh connection ends as well, that is an error like any other."""
    async with ScriptedServer() as server:
        instance = server.add_instance()
        async with PrefactorHttpClient(server.config(max_retries=0)) as client:
            await create(client, instance)
            server.script(Drop(), Drop())

            with pytest.raises(PrefactorHttpError) as caught:
                await create(client, instance)

    assert isinstance(caught.value, aiohttp.ClientError)
    assert len(server.requests) == 3


async def test_a_fresh_connection_is_not_stale() -> None:
    """A new connection that ends without a reply is a failure, which only retries can repair."""
    async with ScriptedServer() as server:
        instance = server.add_instance()
        async with PrefactorHttpClient(server.config(max_retries=0)) as client:
            server.script(Drop())

            with pytest.raises(PrefactorHttpError):
                await create(client, instance)

    assert len(server.requests) == 1


async def test_a_reply_that_began_is_not_replayed() -> None:
    """Once a byte of the reply has arrived, the request is not replayed."""
    async with ScriptedServer() as server:
        instance = server.add_instance()
        async with PrefactorHttpClient(server.config(max_retries=0)) as client:
            await create(client, instance)
            server.script(Drop(after="headers"))

            with pytest.raises(PrefactorHttpError):
                await create(client, instance)

    assert len(server.requests) == 2


async def test_a_post_without_a_key_is_not_replayed() -> None:
    """A generic post without a key that may have been processed raises."""
    async with ScriptedServer() as server, PrefactorHttpClient(server.config()) as client:
        await client.request("GET", "/api/v1/ping")
        server.script(Drop(after="processing"))

        with pytest.raises(PrefactorHttpError):
            await client.request("POST", "/api/v1/agent_instance/register", json_data={})

    assert len(server.requests) == 2
    assert len(server.instances) == 1
