"""Live events between real processes: restarts, replicas, and shutdown."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from live_server import LiveServer
from patience import patience
from postgres_server import PostgresServer
from prefactor_http import (
    HttpClientConfig,
    LiveEvent,
    PrefactorHttpClient,
)
from prefactor_http.events import EventStream


def client_of(server: LiveServer) -> PrefactorHttpClient:
    """A client that reconnects quickly."""
    return PrefactorHttpClient(
        HttpClientConfig(
            server.url, server.token, initial_retry_delay=0.05, max_retry_delay=0.2, max_retries=8
        )
    )


async def until(events: EventStream, done: Callable[[LiveEvent], bool]) -> LiveEvent:
    """The first event for which a condition holds."""
    async with asyncio.timeout(patience(60)):
        async for event in events:
            if done(event):
                return event
    raise AssertionError("the stream ended")


def names(run_id: str, span_id: str) -> Callable[[LiveEvent], bool]:
    """Whether an event is about a span of a run."""
    return lambda event: (
        (run_id, span_id) in {(span.agent_instance_id, span.id) for span in event.spans}
    )


async def test_restart(
    tmp_path: Path, serve: Callable[..., LiveServer], port: int, database: str
) -> None:
    """A stream continues where it was after its server is killed, or stopped, and restarted."""
    server = serve(tmp_path, port=port, database=database)
    async with client_of(server) as client:
        run = await client.agent_instances.register("agent", {}, {})
        async with client.events(agent_instance_ids=[run.id]) as events:
            assert (await anext(events)).kind == "ready"
            seen: list[str] = []
            written: list[str] = []
            for end in ("kill", "stop", None):
                span = await client.agent_spans.create(run.id, "step", "active", {})
                written.append(span.id)
                if end is not None:
                    # The last write is sent either before or after this, and never twice.
                    getattr(server, end)()
                    server = serve(tmp_path, port=port, database=database)
            while len(seen) < 3:
                event = await until(events, lambda one: bool(one.spans))
                assert event.kind == "changes"
                seen += [span.id for span in event.spans]
    assert seen == written


async def test_replicas(
    tmp_path: Path, serve: Callable[..., LiveServer], postgres: PostgresServer
) -> None:
    """A change written at one server is sent by the other, with the same position."""
    url = postgres.create_database("events_of_replicas")
    first, second = (serve(tmp_path / name, database=url) for name in ("first", "second"))
    async with client_of(first) as writer, client_of(second) as reader:
        run = await writer.agent_instances.register("agent", {}, {})
        async with writer.events() as here, reader.events() as there:
            assert (await anext(here)).kind == (await anext(there)).kind == "ready"
            for _ in range(3):
                span = await writer.agent_spans.create(run.id, "step", "active", {})
                told = [await until(events, names(run.id, span.id)) for events in (here, there)]
                assert told[0] == told[1]
        # Each continues at the position of the other.
        missed = await writer.agent_spans.create(run.id, "step", "active", {})
        async with reader.events(last_event_id=told[0].position) as events:
            assert (await anext(events)).position == told[0].position
            event = await until(events, lambda one: bool(one.spans))
            assert [one.id for one in event.spans] == [missed.id]


async def test_drain(tmp_path: Path, serve: Callable[..., LiveServer]) -> None:
    """At SIGTERM streams end at once, while the server answers requests until it has drained.

    An HTTP 1.0 proxy gets its events without chunks, until the connection ends.
    """
    server = serve(tmp_path, "--drain-seconds", "600")
    streams = [await open_stream(server, version) for version in ("1.0", "1.1")]
    heads = [await reader.readuntil(b"\r\n\r\n") for reader, _ in streams]
    for reader, _ in streams:
        await reader.readuntil(b"id: 0\nevent: ready\ndata: {}\n\n")
    async with client_of(server) as client:
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(patience(30)):
            ends = [await reader.read() for reader, _ in streams]
        assert (await client.validate_token())["status"] == "success"
    for _, writer in streams:
        writer.close()
    server.process.send_signal(signal.SIGTERM)

    assert [b"chunked" in head for head in heads] == [False, True]
    assert ends == [b"", b"\r\n0\r\n\r\n"]
    assert server.process.wait(patience(30)) == 0


async def open_stream(
    server: LiveServer, version: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with an open stream."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"GET /api/v1/events HTTP/{version}\r\nHost: here\r\nConnection: close\r\n"
        f"Authorization: Bearer {server.token}\r\n\r\n".encode()
    )
    await writer.drain()
    return reader, writer
