"""A call is a loop of attempts: which failures are retried, with which key, and until when."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import aiohttp
import pytest

from client_fixture import PING, error
from prefactor_http import (
    HttpClientConfig,
    PrefactorApiError,
    PrefactorHttpClient,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorRateLimitError,
    PrefactorRetryExhaustedError,
    PrefactorTimeoutError,
    RequestOptions,
)
from prefactor_http.testing import Drop, ScriptedServer, Stall, Truncate

# --- Retries --------------------------------------------------------------------------------------


async def test_statuses_are_retried_with_one_key(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Every attempt of a typed write carries the same key and the same bytes."""
    server.script(error(503), error(429), error(500))
    await client.agent_instances.register("agent", {}, {})
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
    assert len({request.body for request in server.requests}) == 1
    assert len(server.requests) == 4


async def test_exhausted(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """After the last retry the error says so and carries the last failure."""
    server.script(*[error(503, retry_after="0.001", x_request_id="req-1")] * 4)
    with pytest.raises(
        PrefactorRetryExhaustedError,
        match=r"^Request to /api/v1/ping failed after 4 attempts: status 503, \w+: Some message$",
    ) as info:
        await client.request("GET", PING)
    caught = info.value
    assert isinstance(caught.last_error, PrefactorApiError)
    assert (caught.attempts, caught.request_id, caught.retry_after) == (4, "req-1", 0.001)
    assert str(pickle.loads(pickle.dumps(caught)).last_error) == "Some message"  # noqa: S301 - made here


@pytest.mark.parametrize("fault", [Drop(after="processing"), Truncate(), Drop(after="headers")])
async def test_a_lost_reply_without_a_key_is_not_retried(
    client: PrefactorHttpClient, server: ScriptedServer, fault: Drop
) -> None:
    """A raw POST without a key is not repeated after a lost reply; other requests are."""
    server.script(fault)
    with pytest.raises(PrefactorNetworkError) as info:
        await client.request("POST", "/api/v1/agent_instance/register", json_data={})
    assert isinstance(info.value, aiohttp.ClientError)
    assert info.value.may_have_been_processed
    assert len(server.requests) == 1

    server.script(fault)
    await client.request(
        "POST", "/api/v1/agent_instance/register", json_data={}, idempotency_key="key-1"
    )
    server.script(fault)
    await client.request("GET", PING)
    assert len(server.requests) == 5


async def test_an_unsent_request_is_retried_without_a_key(unused_tcp_port: int) -> None:
    """A refused connection is always retried, even for a POST without a key."""
    config = HttpClientConfig(
        f"http://127.0.0.1:{unused_tcp_port}",
        "test-token",
        max_retries=2,
        initial_retry_delay=0.001,
    )
    async with PrefactorHttpClient(config) as client:
        with pytest.raises(PrefactorRetryExhaustedError) as info:
            await client.request("POST", "/x", json_data={})
    last: Any = info.value.last_error
    assert isinstance(last, aiohttp.ClientConnectorError)
    assert not last.may_have_been_processed
    assert info.value.attempts == 3


async def test_a_timeout_belongs_to_this_package_and_asyncio(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A timed-out attempt is caught as this package's error and as asyncio's, with its limit."""
    server.script(Stall(30))
    options = RequestOptions(request_timeout=0.05, max_retries=0)
    with pytest.raises(PrefactorTimeoutError, match=r"within 0\.05 seconds") as info:
        await client.request("GET", PING, options=options)
    assert isinstance(info.value, asyncio.TimeoutError)


async def test_the_deadline_covers_all_attempts(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Attempts share the deadline, and the call ends with it, with or without retries."""
    server.script(*[Stall(30)] * 5)
    options = RequestOptions(deadline=0.2, max_retries=50)
    with pytest.raises(PrefactorTimeoutError) as info:
        await client.request("GET", PING, options=options)
    assert info.value.attempts == 1


async def test_a_wait_past_the_deadline_is_not_begun(server: ScriptedServer) -> None:
    """If the next attempt would come too late, the failure is raised at once, unwrapped."""
    server.script(error(503, retry_after="40"))
    async with PrefactorHttpClient(server.config(max_retry_delay=60)) as client:
        with pytest.raises(PrefactorApiError) as info:
            await client.with_options(deadline=30).request("GET", PING)
    assert (info.value.retry_after, info.value.attempts) == (40, 1)


async def test_a_long_retry_after_surfaces_at_once(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A wait longer than the longest allowed one raises at once."""
    server.script(error(429, retry_after="3600"))
    with pytest.raises(PrefactorRateLimitError) as info:
        await client.request("GET", PING)
    assert info.value.retry_after == 3600.0
    assert len(server.requests) == 1


async def test_the_server_can_forbid_and_demand_retries(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """`x-should-retry` decides about statuses."""
    server.script(error(503, x_should_retry="false"))
    with pytest.raises(PrefactorApiError):
        await client.request("GET", PING)
    server.script(error(409, x_should_retry="true"))
    await client.request("GET", PING)
    assert len(server.requests) == 3


async def test_the_shared_quota_stops_retries(server: ScriptedServer) -> None:
    """When everything fails, a client and its children stop retrying."""
    server.script(*[error(503)] * 1000)
    async with PrefactorHttpClient(server.config()) as client:
        child = client.with_options(headers={"X-A": "b"})
        for caller in (client, child):
            for _ in range(100):
                with pytest.raises(PrefactorHttpError):
                    await caller.request("GET", PING)
    assert len(server.requests) == 200 + 166
