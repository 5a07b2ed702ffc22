"""Encoded request bodies, raw replies, and names that a caller resolves."""

from __future__ import annotations

import gzip
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.abc import AbstractResolver

from prefactor_http import (
    HttpClientConfig,
    PrefactorAuthError,
    PrefactorHttpClient,
    PrefactorNetworkError,
    PrefactorRateLimitError,
    PrefactorResponseContractError,
    PrefactorRetryExhaustedError,
    RawResponse,
    RequestOptions,
)
from prefactor_http._transport.connections import LARGE_BODY
from prefactor_http.testing import Drop, HtmlReply, Reply, ScriptedServer

if TYPE_CHECKING:
    import aiohttp

PATH = "/api/v1/bulk"


class InPlace(AbstractResolver):
    """A resolver that resolves every name to the loopback address and records the names."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        self.asked.append(host)
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        self.closed = True


async def test_bytes_are_unchanged_both_ways(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """The body is sent byte for byte, spaces included, and the reply is not parsed."""
    server.script(Reply(200, b"\x00\xffnot json", {"X-Said": "so"}))
    reply = await client.request_bytes("POST", PATH, b'{ "items" : [] }')
    [request] = server.requests
    assert request.body == b'{ "items" : [] }'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == "16"
    assert "content-encoding" not in request.headers
    assert isinstance(reply, RawResponse)
    assert reply.status == 200
    assert reply.body == b"\x00\xffnot json"
    assert reply.headers["x-said"] == "so"
    assert repr(reply) == "RawResponse(status=200, 10 bytes)"


async def test_an_encoding_and_headers_are_announced(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """The header names the body's encoding, and the call's own headers are sent too."""
    server.script(Reply(200, {}))
    body = gzip.compress(b'{"items":[]}')
    options = RequestOptions(headers={"X-Extra": "yes"})
    await client.request_bytes(
        "POST", PATH, body, content_encoding="gzip", idempotency_key="key-0001", options=options
    )
    [request] = server.requests
    assert gzip.decompress(request.body) == b'{"items":[]}'
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["x-extra"] == "yes"
    assert request.headers["idempotency-key"] == "key-0001"


@pytest.mark.parametrize("extra", [0, 1, 3 * LARGE_BODY])
async def test_large_bodies_arrive_whole(
    client: PrefactorHttpClient, server: ScriptedServer, extra: int
) -> None:
    """A body over a megabyte causes no warning of aiohttp and has its `Content-Length`."""
    server.script(Reply(200, {}))
    body = bytes(range(256)) * (LARGE_BODY // 256) + b"x" * extra
    await client.request_bytes("POST", PATH, body)
    [request] = server.requests
    assert request.body == body
    assert request.headers["content-length"] == str(len(body))
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("size", [100, LARGE_BODY + 100])
async def test_every_attempt_sends_the_whole_body(
    client: PrefactorHttpClient, server: ScriptedServer, size: int
) -> None:
    """A retry, and a replay on a fresh connection, hold the same bytes."""
    await client.validate_token()
    server.script(Reply.error(503, "unexpected", "Busy"), Drop(), Reply(200, {}))
    await client.request_bytes("POST", PATH, b"x" * size, idempotency_key="key-0001")
    assert [request.body for request in server.requests[1:]] == [b"x" * size] * 3


async def test_a_session_from_the_caller_takes_bytes(server: ScriptedServer) -> None:
    """With a caller's session, large and small bodies arrive unchanged."""
    import aiohttp  # noqa: PLC0415

    server.script(Reply(200, {}), Reply(200, {}))
    async with aiohttp.ClientSession() as session:
        client = PrefactorHttpClient(server.config(), session=session)
        await client.request_bytes("POST", PATH, b"small")
        await client.request_bytes("POST", PATH, b"x" * (LARGE_BODY + 1))
    assert [request.body for request in server.requests] == [b"small", b"x" * (LARGE_BODY + 1)]


REFUSALS: list[tuple[Reply, type[Exception], dict[str, Any]]] = [
    (Reply.error(401, "bad_authtoken", "No"), PrefactorAuthError, {"status_code": 401}),
    (
        Reply.error(429, "unknown", "Slow", headers={"Retry-After": "7"}),
        PrefactorRateLimitError,
        {"retry_after": 7.0},
    ),
    (HtmlReply(502), PrefactorResponseContractError, {"status_code": 502}),
]


@pytest.mark.parametrize(("reply", "kind", "facts"), REFUSALS)
async def test_errors_are_those_of_request(
    server: ScriptedServer, reply: Reply, kind: type[Exception], facts: dict[str, Any]
) -> None:
    """A status of 400 or above raises the error that `request` raises, with its attributes."""
    server.script(reply)
    async with PrefactorHttpClient(server.config(max_retries=0)) as client:
        with pytest.raises(kind) as caught:
            await client.request_bytes("POST", PATH, b"{}")
    assert {name: getattr(caught.value, name) for name in facts} == facts


async def test_retries_are_those_of_the_client(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A request is retried as often as configured, and the final error says so."""
    server.script(*[Reply.error(500, "unexpected", "No")] * 4)
    with pytest.raises(PrefactorRetryExhaustedError) as caught:
        await client.request_bytes("POST", PATH, b"{}")
    assert caught.value.attempts == 4
    assert len(server.requests) == 4


async def test_a_given_resolver_is_used(server: ScriptedServer) -> None:
    """A given resolver looks up the host, and is closed by its owner only."""
    resolver = InPlace()
    port = server.url.rpartition(":")[2]
    config = HttpClientConfig(f"http://recorder.test:{port}", server.token)
    async with PrefactorHttpClient(config, resolver=resolver) as client:
        await client.validate_token()
    assert resolver.asked == ["recorder.test"]
    assert not resolver.closed


async def test_a_failed_lookup_is_an_unsent_request() -> None:
    """A resolver's error is a network error of a request that was never sent."""

    class Nowhere(InPlace):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[aiohttp.abc.ResolveResult]:
            raise OSError(-2, "Name or service not known")

    config = HttpClientConfig("http://recorder.test", "token", max_retries=0)
    async with PrefactorHttpClient(config, resolver=Nowhere()) as client:
        with pytest.raises(PrefactorNetworkError) as caught:
            await client.request_bytes("POST", PATH, json.dumps({}).encode())
    assert not caught.value.may_have_been_processed
