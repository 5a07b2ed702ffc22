"""The limits of a whole call: deadline, pool and cancellation, without leaks."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from unittest.mock import AsyncMock, MagicMock, patch

import aiohttp
import pytest

from prefactor_http import (
    HttpClientConfig,
    PrefactorApiError,
    PrefactorAuthError,
    PrefactorHttpClient,
    PrefactorTimeoutError,
    RequestOptions,
)
from prefactor_http._retry_quota import RetryQuota
from prefactor_http.retry import RetryHandler
from prefactor_http.testing import Reply, ScriptedServer, Stall

PING = "/api/v1/ping"
BUSY = Reply.error(503, "busy", "Busy")


class Clock:
    """A clock that only `sleep` advances."""

    def __init__(self) -> None:
        """Start at an arbitrary time, because only differences may matter."""
        self.now = 1234.5
        self.slept: list[float] = []

    def __call__(self) -> float:
        """The time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Advance at once."""
        self.slept.append(seconds)
        self.now += seconds


def handler(config: HttpClientConfig, clock: Clock) -> RetryHandler:
    """A handler on that clock, whose jitter factor is exactly 1."""
    return RetryHandler(config, clock=clock, sleep=clock.sleep, random=lambda: 0.5)


async def test_the_deadline_counts_on_the_handlers_clock(server: ScriptedServer) -> None:
    """With a deadline of 6 s, the waits of 1 and 2 s happen, and the wait of 4 s does not."""
    server.script(*[BUSY] * 9)
    clock = Clock()
    config = server.config(initial_retry_delay=1, max_retry_delay=60, max_retries=9, deadline=6)
    async with PrefactorHttpClient(config, retry_handler=handler(config, clock)) as client:
        with pytest.raises(PrefactorApiError) as info:
            await client.request("GET", PING)
    assert clock.slept == [1, 2]
    assert info.value.attempts == 3


async def test_an_attempt_gets_the_rest_of_the_deadline(server: ScriptedServer) -> None:
    """Each attempt gets the smaller of its own limit and the rest of the deadline."""
    clock, limits = Clock(), []
    config = server.config(
        initial_retry_delay=1, max_retry_delay=60, max_retries=9, request_timeout=4, deadline=6
    )

    async def attempt(*_args: object, seconds: float, **_kwargs: object) -> dict[str, Any]:
        limits.append(seconds)
        raise aiohttp.ClientError

    async with PrefactorHttpClient(config, retry_handler=handler(config, clock)) as client:
        with patch.object(client, "_make_request", attempt), pytest.raises(aiohttp.ClientError):
            await client.request("GET", PING)
    assert limits == [4, 4, 3]


async def test_the_deadline_of_a_call_starts_with_the_call(server: ScriptedServer) -> None:
    """A second call has the whole deadline again, however late it starts."""
    clock = Clock()
    config = server.config(initial_retry_delay=1, max_retry_delay=60, deadline=2)
    async with PrefactorHttpClient(config, retry_handler=handler(config, clock)) as client:
        for _ in range(3):
            server.script(BUSY)
            await client.request("GET", PING)
            clock.now += 100
    assert clock.slept == [1, 1, 1]


async def test_waiting_for_the_pool_counts(server: ScriptedServer) -> None:
    """A call that gets no connection in time fails within its own limit, with nothing sent."""
    server.script(Stall(30))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        client = PrefactorHttpClient(server.config(max_retries=0), session=session)
        hung = asyncio.create_task(client.request("GET", PING))
        while not server.requests:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)
        with pytest.raises(PrefactorTimeoutError, match=r"within 0\.05 seconds"):
            await client.request("GET", PING, options=RequestOptions(request_timeout=0.05))
        hung.cancel()
        await asyncio.gather(hung, return_exceptions=True)
        assert await client.request("GET", PING)
    assert len(server.requests) == 2


async def test_the_connect_limit_counts_in_the_pool(server: ScriptedServer) -> None:
    """`connect_timeout` ends the wait for a connection although the attempt has more time."""
    server.script(Stall(30))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        config = server.config(max_retries=0, connect_timeout=0.05, request_timeout=30)
        client = PrefactorHttpClient(config, session=session)
        hung = asyncio.create_task(client.request("GET", PING))
        while not server.requests:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)
        with pytest.raises(PrefactorTimeoutError, match="Connection timeout"):
            await client.request("GET", PING)
        hung.cancel()
        await asyncio.gather(hung, return_exceptions=True)


async def test_cancelled_while_it_waits(server: ScriptedServer) -> None:
    """A call cancelled between two attempts makes no further one and holds no connection."""
    server.script(BUSY)
    asleep = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    config = server.config()
    slow = RetryHandler(config, sleep=sleep)
    async with PrefactorHttpClient(config, retry_handler=slow) as client:
        call = asyncio.create_task(client.request("GET", PING))
        await asleep.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await client.request("GET", PING)
        assert not client._sessions.timeout_watcher().running
    assert len(server.requests) == 2
    assert server.connections == 1


async def test_cancelled_in_the_middle_of_an_attempt(server: ScriptedServer) -> None:
    """The connection is not reused, no timer is left, and no retry token is spent."""
    server.script(Stall(30, after="half"))
    config, quota = server.config(), RetryQuota()
    async with PrefactorHttpClient(
        config, retry_handler=RetryHandler(config, quota=quota)
    ) as client:
        full = quota.tokens
        call = asyncio.create_task(client.request("GET", PING))
        while not server.requests:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not client._sessions.timeout_watcher().running
        assert quota.tokens == full
        assert await client.request("GET", PING)
    assert server.connections == 2


def test_limits_hold_in_every_loop() -> None:
    """A client used in a second loop keeps its limits there."""
    with ScriptedServer() as server:
        client = PrefactorHttpClient(server.config(request_timeout=0.05, max_retries=0))

        async def time_out() -> None:
            server.script(Stall(30))
            with pytest.raises(PrefactorTimeoutError):
                await client.request("GET", PING)
            await client.close()

        for _ in range(3):
            asyncio.run(time_out())
    assert len(server.requests) == 3


async def test_tls_settings_and_proxy_are_passed_on() -> None:
    """TLS settings and proxy are passed to the session with each request."""
    context = ssl.create_default_context()
    double = MagicMock(closed=False, close=AsyncMock())
    double.request.return_value.__aenter__.return_value = MagicMock(
        status=200, text=AsyncMock(return_value='{"status": "success"}')
    )
    config = HttpClientConfig("https://api.example", "test-token")
    async with PrefactorHttpClient(config, ssl=context, proxy="http://proxy.example") as client:
        own = client._session
        assert own is not None
        await own.close()
        client._session = double
        await client.request("GET", PING)
    passed = double.request.call_args.kwargs
    assert (passed["ssl"], passed["proxy"]) == (context, "http://proxy.example")


async def test_the_session_shows_its_limits() -> None:
    """The session shows the limits of the configuration, no matter which object enforces them."""
    config = HttpClientConfig("https://api.example", "t", request_timeout=7, connect_timeout=3)
    async with PrefactorHttpClient(config, trust_env=True) as client:
        session = client._session
        assert session is not None
        assert (session.timeout.total, session.timeout.connect) == (7, 3)
        assert session.trust_env


async def test_a_new_token_is_sent(server: ScriptedServer) -> None:
    """A token set on the configuration is sent from the next request on."""
    config = server.config()
    async with PrefactorHttpClient(config) as client:
        await client.request("GET", PING)
        config.api_token = "another-token"
        with pytest.raises(PrefactorAuthError):
            await client.request("GET", PING)
    first, second = (request.headers["authorization"] for request in server.requests)
    assert first != second == "Bearer another-token"
