"""How a request is written to its connection: the bytes that aiohttp would send, at less cost."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from prefactor_http import HttpClientConfig, PrefactorHttpClient
from prefactor_http._transport.connections import SMALL_BODY, connect
from prefactor_http.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Coroutine

REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


async def received(session: aiohttp.ClientSession, **arguments: Any) -> list[bytes]:
    """Return what a server receives of two consecutive requests on one connection."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                if length is None:
                    body = await reader.readuntil(b"0\r\n\r\n")
                else:
                    body = await reader.readexactly(int(length[1]))
                requests.append(head + body)
                writer.write(REPLY)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with session, server:
        for _ in range(2):
            url = f"http://{host}:{port}/path?query=1"
            async with session.request("POST", url, **arguments) as response:
                assert await response.read() == b"{}"
    return [request.replace(b":%d" % port, b":port") for request in requests]


@pytest.mark.parametrize(
    "arguments",
    [
        {"data": b"small"},
        {"data": b""},
        {"data": b"x" * SMALL_BODY},
        {"data": b"x" * (SMALL_BODY + 1)},
        {"data": b"x" * 1_000_000},
        {"data": b"longer", "headers": {"Content-Length": "4"}},
        {"data": b"said", "headers": {"Content-Type": "text/plain", "X-Other": "1"}},
        {"data": b"chunked", "chunked": True},
        {"data": b"in form", "compress": "gzip"},
        {"data": {"in": "a form"}},
        {"json": 1},
        {},
    ],
    ids=str,
)
async def test_the_bytes_are_those_of_aiohttp(arguments: dict[str, Any]) -> None:
    """For any request, a server receives the same bytes as from aiohttp's own session."""
    config = HttpClientConfig("http://127.0.0.1", "token")
    ours = connect(config, trust_env=False, resolver=None, single_use=False)
    theirs = aiohttp.ClientSession()
    assert await received(ours, **arguments) == await received(theirs, **arguments)


async def test_a_body_is_written_without_a_task() -> None:
    """On an open connection a typed call starts no task to write its body."""
    started: list[str] = []

    def start(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any]) -> Any:
        started.append(getattr(coro, "__qualname__", ""))
        return asyncio.Task(coro, loop=loop)

    async with ScriptedServer() as server, PrefactorHttpClient(server.config()) as client:
        instance = server.add_instance()
        await client.agent_spans.create(instance, "s", "active")
        loop = asyncio.get_running_loop()
        loop.set_task_factory(start)  # type: ignore[arg-type]
        await client.agent_spans.create(instance, "s", "active", payload={"second": True})
        loop.set_task_factory(None)
    assert "ClientRequest.write_bytes" not in started
    assert list(server.spans.values())[1]["payload"] == {"second": True}
