"""The final error says why the last attempt failed."""

from __future__ import annotations

import asyncio

import pytest

from prefactor_http import HttpClientConfig, PrefactorHttpClient, PrefactorRetryExhaustedError
from prefactor_http.testing import Reply, ScriptedServer, Stall


def config(url: str) -> HttpClientConfig:
    """Settings with one immediate retry."""
    return HttpClientConfig(url, "test-token", max_retries=1, initial_retry_delay=0.001)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_host_that_cannot_be_reached(unused_tcp_port: int, scheme: str) -> None:
    """The message says that no connection was made, and to where."""
    address = f"127.0.0.1:{unused_tcp_port}"
    async with PrefactorHttpClient(config(f"{scheme}://{address}")) as client:
        with pytest.raises(PrefactorRetryExhaustedError, match=rf"2 attempts: .*host {address}"):
            await client.validate_token()


async def test_https_to_a_port_for_http() -> None:
    """The message says that TLS failed."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with PrefactorHttpClient(config(f"https://{host}:{port}")) as client:
            with pytest.raises(PrefactorRetryExhaustedError, match=r"2 attempts: .*(?i:ssl)"):
                await client.validate_token()


async def test_a_timeout(server: ScriptedServer) -> None:
    """The message says how long the attempt had."""
    server.script(*[Stall(30)] * 2)
    async with PrefactorHttpClient(server.config(request_timeout=0.05, max_retries=1)) as client:
        with pytest.raises(PrefactorRetryExhaustedError, match=r"no answer within 0\.05 seconds"):
            await client.validate_token()


async def test_a_refusal(server: ScriptedServer) -> None:
    """The message has status, code and text of the last answer, and not the token."""
    server.script(*[Reply.error(503, "unexpected", "No room for test-token")] * 2)
    async with PrefactorHttpClient(server.config(max_retries=1)) as client:
        with pytest.raises(PrefactorRetryExhaustedError) as caught:
            await client.validate_token()
    said = "status 503, unexpected: No room for [redacted]"
    assert str(caught.value) == f"Request to /api/v1/ping failed after 2 attempts: {said}"
