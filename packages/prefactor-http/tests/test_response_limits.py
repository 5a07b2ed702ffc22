"""Limits of a response: bytes, as sent and decompressed, and time."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from prefactor_http import (
    PrefactorApiError,
    PrefactorAuthError,
    PrefactorHttpClient,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorResponseContractError,
    PrefactorResponseTooLargeError,
    PrefactorTimeoutError,
    RequestOptions,
)
from prefactor_http.testing import Reply, ScriptedServer, Step, StreamedReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LIMIT = 100_000
PATH = "/api/v1/ping"
ENDLESS = itertools.repeat(b" " * 2**16)


def fitting(size: int) -> bytes:
    """A JSON object of exactly this many bytes."""
    frame = len(b'{"text":""}')
    return b'{"text":"%b"}' % (b"x" * (size - frame))


def raw_deflate(body: bytes) -> bytes:
    """Compress without the zlib header, as some servers do."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def members(body: bytes) -> bytes:
    """Several gzip files in one."""
    return b"".join(gzip.compress(body[at : at + 30_000]) for at in range(0, len(body), 30_000))


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "upper case": (" GZip ", gzip.compress),
    "members": ("gzip", members),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "identity": ("identity", bytes),
    "a mistake": ("utf-8", bytes),
}


def packed(name: str, body: bytes) -> Reply:
    """A reply with this body in this coding."""
    header, pack = CODINGS[name]
    return Reply(200, pack(body), {"Content-Encoding": header})


@pytest.fixture(params=["our session", "a session of the caller's"])
async def limited(
    server: ScriptedServer, request: pytest.FixtureRequest
) -> AsyncIterator[PrefactorHttpClient]:
    """A client with a low limit."""
    config = server.config(max_response_bytes=LIMIT, request_timeout=20)
    async with aiohttp.ClientSession() as own:
        session = own if "caller" in request.param else None
        async with PrefactorHttpClient(config, session=session) as client:
            yield client


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_body_may_be_as_large_as_the_limit(
    limited: PrefactorHttpClient, server: ScriptedServer, coding: str
) -> None:
    """Exactly the limit is read in every encoding, and one byte more is an error that says so."""
    server.script(packed(coding, fitting(LIMIT)), packed(coding, fitting(LIMIT + 1)))
    assert len((await limited.request("GET", PATH))["text"]) > LIMIT - 20
    with pytest.raises(PrefactorResponseTooLargeError, match=r"max_response_bytes") as caught:
        await limited.request("GET", PATH)
    assert (caught.value.limit, caught.value.status_code) == (LIMIT, 200)
    assert caught.value.attempts == 1
    assert str(LIMIT) in str(caught.value)


async def test_only_supported_encodings_are_accepted(
    limited: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """The request names only the encodings that are decompressed within limits."""
    await limited.validate_token()
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "Br"])
async def test_an_unexpected_encoding_is_named(
    limited: PrefactorHttpClient, server: ScriptedServer, coding: str
) -> None:
    """An unexpected encoding raises instead of reaching a decoder without limits."""
    server.script(*[Reply(200, b"\x1b\x00\xf8", {"Content-Encoding": coding})] * 2)
    for raw in (False, True):
        with pytest.raises(PrefactorResponseContractError, match=r"gzip, deflate") as caught:
            await (
                limited.request_bytes("POST", PATH, b"{}") if raw else limited.request("GET", PATH)
            )
        assert coding.lower() in str(caught.value)


TOO_MUCH: dict[str, Step] = {
    "declared": Reply(200, fitting(LIMIT + 1)),
    "endless chunks": StreamedReply(ENDLESS),
    "small chunks": StreamedReply(itertools.repeat(b" " * 500)),
    "until the end of the connection": StreamedReply(ENDLESS, chunked=False),
    "a length beyond everything": StreamedReply(
        ENDLESS, headers={"Content-Length": str(10**15)}, chunked=False
    ),
    "endless gzip": StreamedReply(ENDLESS, headers={"Content-Encoding": "gzip"}),
    "a bomb": Reply(200, gzip.compress(bytes(10**8)), {"Content-Encoding": "gzip"}),
    "a deflated bomb": Reply(200, raw_deflate(bytes(10**8)), {"Content-Encoding": "deflate"}),
}


@pytest.mark.parametrize("kind", TOO_MUCH)
async def test_an_oversized_body_is_not_kept(
    limited: PrefactorHttpClient, server: ScriptedServer, kind: str
) -> None:
    """However a body exceeds the limit, memory stays near it, and the next call works."""
    tracemalloc.start()
    try:
        server.script(*[TOO_MUCH[kind]] * 2)
        for raw in (False, True):
            with pytest.raises(PrefactorResponseTooLargeError):
                await (
                    limited.request_bytes("POST", PATH, b"{}")
                    if raw
                    else limited.request("GET", PATH)
                )
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert (await limited.validate_token())["status"] == "success"


@pytest.mark.parametrize(("status", "kind"), [(401, PrefactorAuthError), (418, PrefactorApiError)])
async def test_an_oversized_error_keeps_its_status(
    limited: PrefactorHttpClient, server: ScriptedServer, status: int, kind: type[PrefactorApiError]
) -> None:
    """An error over the limit is raised as its status requires, and names status and limit."""
    server.script(StreamedReply(ENDLESS, status=status, headers={"X-Request-Id": "r1"}))
    with pytest.raises(kind, match=rf"^HTTP {status}\. .*{LIMIT} bytes") as caught:
        await limited.request("GET", PATH)
    assert (caught.value.status_code, caught.value.request_id) == (status, "r1")


async def test_a_call_can_change_the_limit(
    limited: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A call, or a client with other options, may have a higher or lower limit."""
    server.script(*[Reply(200, fitting(LIMIT + 1))] * 2, Reply(200, fitting(1_000)))
    await limited.request("GET", PATH, options=RequestOptions(max_response_bytes=LIMIT + 1))
    await limited.with_options(max_response_bytes=LIMIT + 1).request("GET", PATH)
    with pytest.raises(PrefactorResponseTooLargeError, match="999"):
        await limited.with_options(max_response_bytes=999).request_bytes("GET", PATH, b"")
    with pytest.raises(ValueError, match="max_response_bytes must be positive"):
        RequestOptions(max_response_bytes=0)


async def test_time_runs_out_during_decompression(server: ScriptedServer) -> None:
    """The limit of an attempt holds during decompression, and other tasks run."""
    bomb = gzip.compress(bytes(10**7)) * 300
    server.script(Reply(200, bomb, {"Content-Encoding": "gzip"}))
    config = server.config(max_response_bytes=2**32, request_timeout=0.2, max_retries=0)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    begun = time.monotonic()
    async with PrefactorHttpClient(config) as client:
        with pytest.raises(PrefactorTimeoutError):
            await client.request("GET", PATH)
    counting.cancel()
    assert time.monotonic() - begun < 30
    assert turns > 5


async def test_time_runs_out_while_a_body_arrives(server: ScriptedServer) -> None:
    """An endless body below the limit of bytes ends at the limit of time."""
    server.script(StreamedReply(itertools.repeat(b" ")))
    config = server.config(request_timeout=0.2, max_retries=0)
    async with PrefactorHttpClient(config) as client:
        with pytest.raises(PrefactorTimeoutError):
            await client.request("GET", PATH)


@pytest.mark.parametrize("damage", ["cut off", "noise", "noise after the first member"])
async def test_a_damaged_body_is_a_network_error(
    limited: PrefactorHttpClient, server: ScriptedServer, damage: str
) -> None:
    """Data that cannot be decompressed is a network error, as in aiohttp, and is retried."""
    whole = gzip.compress(json.dumps({"a": "b" * 1000}).encode())
    body = {
        "cut off": whole[:-9],
        "noise": b"nothing",
        "noise after the first member": whole + b"x",
    }
    server.script(*[Reply(200, body[damage], {"Content-Encoding": "gzip"})] * 4)
    with pytest.raises(PrefactorHttpError) as caught:
        await limited.request("GET", PATH)
    last: Any = caught.value.last_error  # type: ignore[attr-defined]
    assert isinstance(last, PrefactorNetworkError)
    assert isinstance(last, aiohttp.ClientPayloadError)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "reply",
    [
        Reply(204, None, {"Content-Encoding": "gzip"}),
        Reply(200, None, {"Content-Length": str(LIMIT * 2)}),
    ],
)
async def test_a_response_without_a_body_has_no_size(
    limited: PrefactorHttpClient, server: ScriptedServer, reply: Reply
) -> None:
    """The size in a HEAD response is ignored, and a 204 has nothing to decompress."""
    server.script(reply)
    assert await limited.request("HEAD", PATH) == {}


async def test_request_bytes_decompresses_the_response(
    limited: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """`RawResponse.body` is decompressed."""
    server.script(packed("gzip", b"anything"))
    assert (await limited.request_bytes("POST", PATH, b"{}")).body == b"anything"
