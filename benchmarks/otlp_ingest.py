"""Claim: spans that come by OTLP cost the server about what spans of the bulk API do.

Sixteen clients send bodies of fifty spans of 1.1 kB each, in protobuf, to a server on SQLite that
answers when they are durable. The floor is the bulk API, with spans of the same size, in turns with
it on the same server. Each body is a part of a trace whose root has not come, as most are.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from harness import Figure, finish
from loadgen import TEXT, TOKEN, Server, Spans, new_run, send_all, servers
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

CLIENTS = 16
SIZE = 50
REQUESTS = 8
ROUNDS = 5
SPANS = CLIENTS * REQUESTS * SIZE


class Traces:
    """Prepares export requests of one trace."""

    def __init__(self, number: int) -> None:
        self._trace = number.to_bytes(16, "big")
        self._count = 0

    def export(self, size: int) -> bytes:
        """A request with spans of model calls under one agent, as it goes over the wire."""
        message = ExportTraceServiceRequest()
        spans = message.resource_spans.add()
        name = spans.resource.attributes.add(key="service.name")
        name.value.string_value = "bench-otlp"
        scope = spans.scope_spans.add()
        scope.scope.name = "bench"
        now = time.time_ns()
        for _ in range(size):
            self._count += 1
            span = scope.spans.add(
                trace_id=self._trace,
                span_id=self._count.to_bytes(8, "big"),
                parent_span_id=(2**63).to_bytes(8, "big"),
                name="chat m-1",
                start_time_unix_nano=now,
                end_time_unix_nano=now + 1_000_000,
            )
            for key, text in (
                ("gen_ai.operation.name", "chat"),
                ("gen_ai.provider.name", "vendor"),
                ("gen_ai.request.model", "m-1"),
                ("gen_ai.response.model", "m-1"),
                ("gen_ai.prompt", f"{self._count} {TEXT}"),
            ):
                span.attributes.add(key=key).value.string_value = text
            for key, count in (
                ("gen_ai.usage.input_tokens", 120),
                ("gen_ai.usage.output_tokens", 30),
            ):
                span.attributes.add(key=key).value.int_value = count
        content: bytes = message.SerializeToString()
        head = (
            f"POST /v1/traces HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/x-protobuf\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content


async def rounds(server: Server) -> list[tuple[float, float]]:
    """Spans a second by OTLP and by the bulk API, in turns."""
    bulk = [Spans(await new_run(server.port)) for _ in range(CLIENTS)]
    found: list[tuple[float, float]] = []
    number = 1
    for turn in range(-1, ROUNDS):
        traces = [Traces(number + client) for client in range(CLIENTS)]
        number += CLIENTS
        exports = [[trace.export(SIZE) for _ in range(REQUESTS)] for trace in traces]
        otlp = await send_all([server.port], exports)
        items = [[maker.bulk(SIZE) for _ in range(REQUESTS)] for maker in bulk]
        floor = await send_all([server.port], items)
        if turn >= 0:
            found.append((SPANS / otlp.seconds, SPANS / floor.seconds))
    return found


def main() -> None:
    """Measure on SQLite."""
    with servers("sqlite") as started:
        found = asyncio.run(rounds(started[0]))
    otlp, bulk = (statistics.median(rate) for rate in zip(*found, strict=True))
    ratio = statistics.median(mine / floor for mine, floor in found)
    print(f"OTLP: {otlp:,.0f} spans/s; bulk: {bulk:,.0f} spans/s")
    finish(Figure("OTLP spans stored, ÷ the bulk API's rate", ratio, 0.9, 0.6))


if __name__ == "__main__":
    main()
