"""The scripted server applies its script to real connections."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from urllib.parse import urlsplit

import aiohttp
import pytest

from prefactor_http.testing import (
    Delay,
    Drop,
    FaultPlan,
    HtmlReply,
    Moment,
    Reply,
    Reset,
    ScriptedServer,
    Stall,
    Step,
    Truncate,
)

from .conftest import Api

REGISTER = "agent_instance/register"


async def test_it_records_every_request(server: ScriptedServer, api: Api) -> None:
    """Every request is recorded with method, path, query, headers and body, in order."""
    await api.get("agent_instance", **{"pagination[offset]": "0"})
    await api.post(REGISTER, {"agent_id": "a"}, **{"X-Thing": "1"})

    read, write = server.requests
    assert (read.method, read.path) == ("GET", "/api/v1/agent_instance")
    assert (read.query, read.json) == ({"pagination[offset]": "0"}, None)
    assert (write.method, write.json) == ("POST", {"agent_id": "a"})
    assert write.headers["x-thing"] == "1"


async def test_it_keeps_connections(server: ScriptedServer, api: Api) -> None:
    """Consecutive requests share a connection, and each connection has a number."""
    for _ in range(3):
        await api.get("ping")
    server.script(Drop())
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.post(REGISTER, {})
    await api.get("ping")

    assert [request.connection for request in server.requests] == [1, 1, 1, 1, 2]
    assert server.connections == 2


async def test_it_reads_a_body_of_unknown_length(server: ScriptedServer, api: Api) -> None:
    """A chunked body arrives whole."""

    async def parts() -> AsyncIterator[bytes]:
        yield b'{"agent_id": '
        yield b'"a"}'

    async with api.session.post(f"/api/v1/{REGISTER}", data=parts()) as response:
        assert response.status == 200

    assert server.requests[0].json == {"agent_id": "a"}


async def test_scripted_replies_come_in_order(server: ScriptedServer, api: Api) -> None:
    """Scripted replies are used in order without changing state, and then the API answers."""
    server.script(Reply(503, {"code": "unexpected"}), HtmlReply(404), Reply(204))

    answers: list[tuple[int, str]] = []
    for _ in range(4):
        async with api.session.post(f"/api/v1/{REGISTER}", json={}) as response:
            answers.append((response.status, response.content_type))

    assert answers == [
        (503, "application/json"),
        (404, "text/html"),
        (204, "application/json"),
        (200, "application/json"),
    ]
    assert len(server.instances) == 1


async def test_a_step_can_be_limited_to_a_path(server: ScriptedServer, api: Api) -> None:
    """A step for one path leaves requests to other paths alone."""
    server.script(Reply(503, {}), path="*/agent_spans")

    assert (await api.get("ping"))[0] == 200
    assert (await api.post("agent_spans", {}))[0] == 503


@pytest.mark.parametrize("fault", [Drop, Reset])
@pytest.mark.parametrize(
    ("moment", "applied"), [("request", 0), ("processing", 1), ("headers", 1), ("half", 1)]
)
async def test_a_broken_exchange(
    server: ScriptedServer,
    api: Api,
    fault: type[Drop | Reset],
    moment: Moment,
    applied: int,
) -> None:
    """A broken exchange raises in the client, and takes effect only if it was processed first."""
    server.script(fault(after=moment))

    with pytest.raises(aiohttp.ClientError):
        await api.post(REGISTER, {})

    assert len(server.instances) == applied


async def test_a_truncated_reply(server: ScriptedServer, api: Api) -> None:
    """A truncated reply has a status and begins, and then fails in its body."""
    server.script(Truncate())

    async with api.session.get("/api/v1/ping") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_reset_is_not_an_orderly_end(server: ScriptedServer, api: Api) -> None:
    """A reset reaches the client as one, where a drop is an orderly end."""
    server.script(Reset(), Drop())

    with pytest.raises(aiohttp.ClientOSError):
        await api.post(REGISTER, {})
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.post(REGISTER, {})


@pytest.mark.parametrize(("step", "applied"), [(Stall(60), 0), (Stall(60, after="processing"), 1)])
async def test_a_stalled_request_times_out(
    server: ScriptedServer, api: Api, step: Step, applied: int
) -> None:
    """A stalled request runs into its client's timeout, and the server then drops it."""
    server.script(step)

    call = asyncio.ensure_future(api.session.post(f"/api/v1/{REGISTER}", json={}))
    while not server.requests:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.001)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call, 0.05)

    assert len(server.instances) == applied


async def test_a_stall_ends_by_closing(server: ScriptedServer, api: Api) -> None:
    """A client that waits longer than a stall sees the connection close without a reply."""
    server.script(Stall(0.01))

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.post(REGISTER, {})


async def test_a_delay_only_delays(server: ScriptedServer, api: Api) -> None:
    """Later requests overtake a delayed one, which is then answered normally."""
    server.script(Delay(0.2), path="*/register")

    slow = asyncio.create_task(api.post(REGISTER, {}))
    fast, _ = await api.get("ping")
    overtaken = not slow.done()
    status, _ = await slow

    assert (fast, overtaken, status) == (200, True, 200)


async def test_random_faults(server: ScriptedServer, api: Api) -> None:
    """A fault plan applies from its injection until its removal."""
    server.inject(FaultPlan(seed=1, unavailable=1.0))
    during, _ = await api.get("ping")
    server.inject(None)
    after, _ = await api.get("ping")

    assert (during, after) == (503, 200)


async def test_the_script_takes_precedence_over_the_plan(api: Api, server: ScriptedServer) -> None:
    """Scripted steps come before the plan's faults."""
    server.inject(FaultPlan(seed=1, unavailable=1.0))
    server.script(Reply(418, {}))

    assert [(await api.get("ping"))[0] for _ in range(2)] == [418, 503]


async def test_idle_connections_are_closed() -> None:
    """After the idle limit the server closes a connection that has served a request."""
    async with ScriptedServer(idle_limit=0.01) as server:
        server.script(Reply(204))
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")

        assert (await reader.read()).startswith(b"HTTP/1.1 204 ")
        writer.close()
        await writer.wait_closed()


async def test_invalid_http_gets_a_400() -> None:
    """Bytes that are not a request get a 400, and the connection closes."""
    async with ScriptedServer() as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"hello\r\n\r\n")

        assert (await reader.read()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("method", "path", "data", "refusal"),
    [
        ("POST", "/api/v1/bulk", b"{", (400, "bad_request")),
        ("POST", "/api/v1/bulk", b"[1]", (400, "bad_request")),
        ("GET", "/api/v1/nothing", b"", (404, "not_found")),
        ("GET", "/elsewhere", b"", (404, "not_found")),
        ("DELETE", "/api/v1/ping", b"", (404, "not_found")),
    ],
)
async def test_invalid_bodies_and_paths_are_refused(
    api: Api, method: str, path: str, data: bytes, refusal: tuple[int, str]
) -> None:
    """Bodies that are not JSON objects and paths without an operation get the error body."""
    async with api.session.request(method, path, data=data) as response:
        assert (response.status, (await response.json())["code"]) == refusal


async def test_only_the_right_token_is_accepted(server: ScriptedServer) -> None:
    """A request with another token, or none, is a 401 and changes nothing."""
    async with aiohttp.ClientSession(server.url) as session:
        status, body = await Api(session).post(REGISTER, {}, authorization="Bearer other")

    assert (status, body["code"]) == (401, "bad_authtoken")
    assert server.instances == {}


async def test_the_clock_is_an_argument() -> None:
    """Timestamps come from the clock that is passed to the server."""
    async with ScriptedServer(clock=lambda: datetime(2026, 1, 2, tzinfo=UTC)) as server:
        id_ = server.add_instance()

        assert server.instances[id_]["started_at"] == "2026-01-02T00:00:00.000000Z"


async def test_closing_breaks_open_exchanges() -> None:
    """Leaving the server ends open requests, and its address stops answering."""
    async with ScriptedServer() as server:
        server.script(Stall(60))
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/v1/ping HTTP/1.1\r\n\r\n")
        while not server.requests:  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0)

    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    with pytest.raises(RuntimeError, match="async with ScriptedServer"):
        _ = server.url


def test_it_serves_from_a_thread() -> None:
    """Entered without an event loop, it serves synchronous code and stops with its block."""
    with ScriptedServer() as server:
        connection = HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        server.script(HtmlReply(200, "hello"))
        connection.request("GET", "/api/v1/ping")
        assert connection.getresponse().read() == b"hello"
        connection.close()
        instance = server.add_instance()
        server.terminate(instance, "enough")

    assert server.instances[instance]["termination_reason"] == "enough"
    assert "scripted server" not in {thread.name for thread in threading.enumerate()}


async def test_its_configuration_is_quick(server: ScriptedServer) -> None:
    """The configuration points at the server and retries within milliseconds; fields can be set."""
    config = server.config(max_retries=7)

    assert (config.api_url, config.api_token) == (server.url, server.token)
    assert config.max_retry_delay < 1
    assert config.max_retries == 7


@pytest.mark.filterwarnings("error")
def test_a_connection_that_begins_at_the_end_is_closed() -> None:
    """Connections that begin while a server stops leave no socket open."""
    for _ in range(20):
        with ScriptedServer() as server:
            address = urlsplit(server.url)
            connection = socket.create_connection((address.hostname, address.port))
        connection.close()
        del server
        gc.collect()  # a socket that is left open raises a warning
