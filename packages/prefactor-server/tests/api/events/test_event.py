"""Live events over real sockets: what is sent, to whom, and when a stream ends."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_client import LIMITS, ApiClient, open_api_client
from event_stream import Event, Followed, following, ids

from patience import patience
from prefactor_server.api import EventLimits, Limits

SECRET = "wombat-4711"


@pytest.fixture
def limits() -> Limits:
    """Limits under which a valid token is cached for a second."""
    return replace(LIMITS, token_cache_seconds=1)


async def begun(stream: Followed) -> int:
    """The position that a stream begins after."""
    event = await stream.next()
    assert event.kind == "ready"
    return event.id


async def test_rows(api_client: ApiClient) -> None:
    """An event has the row as lists show it, and spans have no payloads or secrets."""
    async with following(api_client) as stream:
        await begun(stream)
        run = await api_client.run()
        payload = {"password": {"$sensitive": "text", "value": SECRET}, "model": "m"}
        span = await api_client.span(run, payload=payload, status="active")
        row = await stream.span(span["id"])
        kind = row.pop("kind")
        told = {name: span[name] for name in row}
        path = f"/agent_spans/{span['id']}/finish"
        finished = (await api_client.post(path, {"status": "failed"})).details
        later = await stream.until(lambda one: span["id"] in ids(one, "spans"))
        metadata = {"metadata": {"user": "ada"}}
        answer = await api_client.call("PUT", f"/agent_instance/{run['id']}/metadata", metadata)
        assert answer.details["metadata"] == {"user": "ada"}
        labelled = await stream.until(lambda one: one.kind == "changes")

    assert kind == "llm"
    assert {**row, "summary": None} == {**told, "summary": None}
    assert set(span) - set(row) == {
        "account_id",
        "payload",
        "payload_validation",
        "purpose",
        "result_payload",
        "result_payload_validation",
        "risk_level",
        "risk_score",
    }
    assert [one["status"] for one in later.data["spans"]] == [finished["status"]]
    listed = (await api_client.get("/agent_instance")).summaries
    assert len(later.data["runs"]) == 1
    (shown,) = labelled.data["runs"]
    assert {**listed[0], **shown} == listed[0]
    assert set(listed[0]) - set(shown) == {"risk_score", "risk_level"}
    assert SECRET not in stream.text


async def test_compressed(api_client: ApiClient) -> None:
    """A stream is compressed on request, and each event can be decoded on arrival."""
    headers = {"Authorization": f"Bearer {api_client.token}", "Accept-Encoding": "deflate"}
    async with api_client.session.get(
        f"{api_client.url}/api/v1/events", headers=headers
    ) as response:
        assert response.headers["Content-Encoding"] == "deflate"
        assert await response.content.readuntil(b"data: {}\n\n")
        run = await api_client.run()
        assert run["id"].encode() in await response.content.readuntil(b"\n\n")
        api_client.events.close()
        await response.read()


async def test_termination(api_client: ApiClient) -> None:
    """A termination sends an event for the run and for every span that it closed."""
    run = await api_client.run()
    spans = [await api_client.span(run, status="active") for _ in range(3)]
    async with following(api_client, query={"agent_instance_ids": run["id"]}) as stream:
        await begun(stream)
        await api_client.post(f"/agent_instance/{run['id']}/terminate", {"reason": "enough"})
        event = await stream.until(lambda one: one.kind == "changes")

    assert [one["termination_reason"] for one in event.data["runs"]] == ["enough"]
    assert {one["id"]: one["closed_by_termination"] for one in event.data["spans"]} == {
        span["id"]: True for span in spans
    }


async def test_filters(api_client: ApiClient) -> None:
    """A stream has the events of the runs and agents in its filter, with spans unless declined."""
    mine, other = await api_client.run(agent_id="a"), await api_client.run(agent_id="b")
    third = await api_client.run(agent_id="c")
    by_run = {"agent_instance_ids": mine["id"]}
    by_agent = {"agent_ids": f"{other['agent_id']},c"}
    async with (
        following(api_client, query=by_run) as runs,
        following(api_client, query=by_agent) as agents,
        following(api_client, query={**by_run, **by_agent, "include_spans": "false"}) as both,
        following(api_client, query={"include_spans_of": f"{mine['id']},missing"}) as one_open,
    ):
        for stream in (runs, agents, both, one_open):
            await begun(stream)
        spans = [(await api_client.span(run))["id"] for run in (mine, other, third)]
        await runs.span(spans[0])
        await agents.span(spans[2])
        await both.until(lambda one: third["id"] in ids(one, "runs"))
        await one_open.until(lambda one: third["id"] in ids(one, "runs"))

    assert told(runs, "runs") == {mine["id"]}
    assert told(agents, "runs") == {other["id"], third["id"]}
    assert told(agents, "spans") == set(spans[1:])
    assert told(both, "runs") == {mine["id"], other["id"], third["id"]}
    assert told(both, "spans") == set()
    assert told(one_open, "runs") == {mine["id"], other["id"], third["id"]}
    assert told(one_open, "spans") == {spans[0]}


def told(stream: Followed, kind: str) -> set[str]:
    """Return the ids of the rows in a stream's events."""
    return {one for event in stream.events for one in ids(event, kind)}


async def test_confined(api_client: ApiClient) -> None:
    """A deployment token receives only its own runs, whatever the filter."""
    own, other = await api_client.run(agent_id="a"), await api_client.run(agent_id="b")
    token = await api_client.deployment_token(own)
    for query in ({"agent_instance_ids": other["id"]}, {"agent_ids": other["agent_id"]}):
        (await api_client.get("/events", query, token=token)).refused(404, "not_found")
    async with following(api_client, token=token) as stream, following(api_client) as everything:
        await begun(stream)
        await begun(everything)
        hidden = await api_client.span(other, payload={"secret": SECRET})
        await everything.span(hidden["id"])
        await stream.span((await api_client.span(own))["id"])

    assert told(stream, "runs") == {own["id"]}
    assert len(told(stream, "spans")) == 1


async def test_resume(api_client: ApiClient) -> None:
    """After resuming, a client receives every change once and in order, during writes too."""
    run = await api_client.run()
    written: list[str] = []

    async def write() -> None:
        for _ in range(40):
            span = await api_client.span(run)
            written.append(span["id"])

    found: list[str] = []
    positions: list[int] = []
    async with following(api_client) as stream:
        after = await begun(stream)
    writing = asyncio.create_task(write())
    while not writing.done() or set(found) != set(written):
        async with following(api_client, after=after) as stream:
            assert await begun(stream) == after
            event = await stream.until(lambda one: one.kind == "changes")
            after = event.id
            found += ids(event, "spans")
            positions.append(event.id)
    await writing

    assert found == written
    assert positions == sorted(set(positions))


@pytest.mark.parametrize("after", [10**15, 0])
async def test_unknown_position(api_client: ApiClient, after: int) -> None:
    """A position that the feed never had, or no longer has, leads to a reload."""
    await api_client.run()
    if not after:
        position = await api_client.storage.feed.position()
        await api_client.run()
        while await api_client.storage.feed.prune(position, 2**62):
            pass
    async with following(api_client, after=after) as stream:
        event = await stream.until(lambda one: one.kind == "reload")
        run = await api_client.run()
        await stream.until(lambda one: run["id"] in ids(one, "runs"))

    assert event.data["reason"] in ("unknown_position", "too_far_behind")


@pytest.mark.parametrize(
    ("query", "header"),
    [
        ({}, "x"),
        ({}, "-1"),
        ({"agent_instance_ids": ",".join(f"r{number}" for number in range(51))}, "1"),
        ({"include_spans": "maybe"}, "1"),
        ({"agent_instance_ids": ""}, "1"),
        ({"agent_ids": ","}, "1"),
        ({"agent": "a"}, "1"),
    ],
)
async def test_refused(api_client: ApiClient, query: Any, header: str) -> None:
    """A filter that cannot be followed is refused before the stream begins."""
    answer = await api_client.get("/events", query, headers={"Last-Event-ID": header})

    assert answer.status in (400, 422)


async def test_heartbeats(database_url: str) -> None:
    """While a client's runs are quiet, comments move its position past other changes."""
    limits = EventLimits(heartbeat_seconds=0.05, window_seconds=0.01)
    async with open_api_client(database_url, event_limits=limits) as api_client:
        run = await api_client.run()
        async with following(api_client, query={"agent_instance_ids": run["id"]}) as stream:
            await begun(stream)
            await api_client.run()
            heartbeat = Event(await api_client.storage.feed.position(), "", None)
            for _ in range(2):
                await stream.until(lambda one: one == heartbeat)
        async with following(api_client, after=heartbeat.id) as resumed:
            await begun(resumed)
            span = await api_client.span(run)
            await resumed.span(span["id"])


async def test_lifetime(database_url: str) -> None:
    """A stream that reaches its maximum age ends cleanly and can be resumed."""
    async with open_api_client(
        database_url, event_limits=EventLimits(stream_seconds=0.05)
    ) as api_client:
        async with following(api_client) as stream:
            position = await begun(stream)
            await stream.end()
        async with following(api_client, after=position) as stream:
            assert await begun(stream) == position


async def test_caps(database_url: str) -> None:
    """Too many streams of an account get 429, and too many of the server get 503."""
    for limits, status in (
        (EventLimits(max_streams_per_account=1), 429),
        (EventLimits(max_streams=1), 503),
    ):
        async with open_api_client(database_url, event_limits=limits) as api_client:
            async with following(api_client) as stream:
                await begun(stream)
                answer = await api_client.get("/events")
                assert answer.status == status
                assert int(answer.headers["Retry-After"]) > 0
            async with asyncio.timeout(patience(10)):
                while api_client.events.streams:  # noqa: ASYNC110 - a closed connection causes no event
                    await asyncio.sleep(0.01)
            async with following(api_client) as stream:
                await begun(stream)


async def test_revoked(api_client: ApiClient) -> None:
    """A stream ends when its token is revoked or expires, once the cached lookup expires."""
    revoked, token = await api_client.add_token()
    expiring, _ = await api_client.add_token(expires_at=api_client.clock.now + 5_000_000)
    async with (
        following(api_client, token=revoked) as first,
        following(api_client, token=expiring) as second,
        following(api_client) as third,
    ):
        for stream in (first, second, third):
            await begun(stream)
        await api_client.put(token._replace(status="revoked"))
        api_client.clock.leap(seconds=11)
        await first.end()
        await second.end()
        run = await api_client.run()
        await third.until(lambda one: run["id"] in ids(one, "runs"))


@pytest.mark.parametrize("reads_on", [True, False])
async def test_slow_reader(tmp_path: Path, *, reads_on: bool) -> None:
    """A client that reads too slowly has to reload, and one that reads nothing is disconnected.

    Other clients receive everything meanwhile.
    """
    async with open_api_client(
        f"sqlite:///{tmp_path / 'server.db'}",
        event_limits=EventLimits(window_seconds=0.001),
        send_buffer=4096,
        send_timeout=60 if reads_on else 5,
    ) as api_client:
        run = await api_client.run()
        reader, writer = await unread(api_client)
        items = [
            {
                "_type": "agent_spans/create",
                "agent_instance_id": run["id"],
                "schema_name": "step",
                "status": "active",
                "payload": {},
            }
            for _ in range(200)
        ]
        async with following(api_client) as others:
            await begun(others)
            # First the events that the connection holds, and then those of the log.
            for number in range(6):
                keys = [
                    {**item, "idempotency_key": f"{number}-{n:08}"} for n, item in enumerate(items)
                ]
                assert (await api_client.post("/bulk", {"items": keys})).status == 200
                while len(told(others, "spans")) < 200 * (number + 1):
                    await others.next()
        async with asyncio.timeout(patience(30)):
            if reads_on:
                assert b"event: ready" in await until(reader, b"event: reload")
                await api_client.span(run)
                await until(reader, b"event: changes")
            else:
                while api_client.events.streams:  # noqa: ASYNC110 - a closed connection causes no event
                    await asyncio.sleep(0.05)
        writer.close()


async def unread(api_client: ApiClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream that nobody reads, with a small system buffer."""
    address = urlsplit(api_client.url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (address.hostname, address.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=4096)
    head = f"GET /api/v1/events HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {api_client.token}"
    writer.write(f"{head}\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


async def until(reader: asyncio.StreamReader, text: bytes) -> bytes:
    """Return the text that arrives up to a marker."""
    found = b""
    while text not in found:
        piece = await reader.read(65536)
        assert piece, found
        found += piece
    return found
