"""Claim: two hundred people who follow a run hardly slow down its recording.

A run records 500 spans a second, ten bulk requests of 50 each second, as a recorder sends them. In
turns, nobody follows it and two hundred event streams do. What grows is the server's CPU time per
span; the time between two requests is not part of it. Every stream must receive every span
once.

A stream gets a message at most so often, and each costs the server a system call. So the figure
holds for the rate of the claim alone: where the machine is too busy to record at it, the same
messages are spread over fewer spans. The rate that was reached, and the messages, are printed.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import zlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from harness import Figure, finish
from loadgen import TOKEN, Connection, Server, Spans, new_run, servers

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUNDS = 5
SUBSCRIBERS = 200
REQUESTS, SIZE, EVERY_SECONDS = 30, 50, 0.1
MARK = b'"type":"agent_span"'


class Stream:
    """One subscriber: it counts the spans that it receives, and notes the times."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._inflate = zlib.decompressobj()
        self.spans = 0
        self.messages = 0
        self.reloads = 0
        self.seen_at: list[float] = []

    @classmethod
    async def open(cls, port: int, run_id: str) -> Stream:
        """Follow a run; returns when the stream has begun."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        writer.write(
            f"GET /api/v1/events?agent_instance_ids={run_id} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {TOKEN}\r\nAccept-Encoding: gzip, deflate\r\n\r\n".encode()
        )
        assert b"content-encoding: deflate" in await reader.readuntil(b"\r\n\r\n")
        stream = cls(reader, writer)
        assert b"event: ready" in await stream.block()
        return stream

    async def block(self) -> bytes:
        """What the server has written at a time."""
        size = int(await self._reader.readline(), 16)
        chunk = await self._reader.readexactly(size + 2)
        return self._inflate.decompress(chunk[:-2])

    async def follow(self, spans: int) -> None:
        """Read until this number of spans was received."""
        while self.spans < spans:
            block = await self.block()
            found = block.count(MARK)
            self.spans += found
            self.messages += found > 0
            self.seen_at += [time.perf_counter()] * found
            self.reloads += b"event: reload" in block

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def record(connection: Connection, requests: Iterable[bytes]) -> list[float]:
    """Send the requests at their times; when each was sent."""
    sent: list[float] = []
    start = time.perf_counter()
    for number, one in enumerate(requests):
        await asyncio.sleep(max(0.0, start + number * EVERY_SECONDS - time.perf_counter()))
        sent += [time.perf_counter()] * SIZE
        assert b'"status":"error"' not in await connection.send(one)
    return sent


async def one_round(
    server: Server, spans: Spans, run_id: str, subscribers: int
) -> tuple[float, list[float], str]:
    """The CPU seconds per span, the seconds from sent to seen of each, and what happened."""
    requests = [spans.bulk(SIZE) for _ in range(REQUESTS)]
    async with AsyncExitStack() as stack:
        connection = await Connection.open(server.port)
        stack.callback(connection.close)
        streams = [await Stream.open(server.port, run_id) for _ in range(subscribers)]
        for stream in streams:
            stack.callback(stream.close)
        await asyncio.sleep(0.5)
        before = server.cpu_seconds
        total = REQUESTS * SIZE
        sent, _ = await asyncio.gather(
            record(connection, requests),
            asyncio.gather(*(stream.follow(total) for stream in streams)),
        )
        used = server.cpu_seconds - before
    received = {(stream.spans, stream.reloads) for stream in streams}
    assert received <= {(total, 0)}, f"spans and reloads of the streams, of {total}: {received}"
    latencies = [
        seen - begun for stream in streams for begun, seen in zip(sent, stream.seen_at, strict=True)
    ]
    rate = total / (sent[-1] - sent[0] + EVERY_SECONDS)
    messages = statistics.mean([stream.messages for stream in streams] or [0])
    return used / total, latencies, f"{rate:.0f} spans/s, {messages:.1f} messages a stream"


async def measure(server: Server) -> tuple[float, list[float]]:
    """The growth of CPU per span as a ratio, and the latencies in seconds."""
    run_id = await new_run(server.port)
    spans = Spans(run_id)
    ratios: list[float] = []
    latencies: list[float] = []
    for number in range(-1, ROUNDS):
        alone, _, _ = await one_round(server, spans, run_id, 0)
        followed, seen, done = await one_round(server, spans, run_id, SUBSCRIBERS)
        if number >= 0:
            ratios.append(followed / alone)
            latencies += seen
            print(f"  {alone * 1e6:.0f} µs a span alone, {followed * 1e6:.0f} µs followed: {done}")
    return statistics.median(ratios), latencies


def main() -> None:
    """Measure both backends."""
    figures: list[Figure] = []
    for backend in ("sqlite", "postgresql"):
        with servers(backend) as started:
            ratio, latencies = asyncio.run(measure(started[0]))
        ordered = sorted(latencies)
        p50, p99 = (ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99))
        # The clients share the machine with the server, so these are no figure to hold.
        print(f"{backend}: from sent to seen p50 {p50:.0f} ms, p99 {p99:.0f} ms")
        figures.append(
            Figure(
                f"{SUBSCRIBERS} streams follow a run, {backend}: CPU per span",
                round(ratio, 2),
                1.10,
                1.25,
            )
        )
    finish(*figures)


if __name__ == "__main__":
    main()
