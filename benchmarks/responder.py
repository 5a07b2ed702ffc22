"""A minimal server that answers every request with the same span.

It does no more than find the end of each request, so that what a benchmark sees is its client.
Prints its address, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

SPAN = {
    "type": "agent_span",
    "id": "013y5s1h2g3nqk8n7v4zc2m9qd0x8k1f",
    "account_id": "013xrzp12g3nqk8naccnt00000000000",
    "agent_id": "013xrzp12g3nqk8nagent00000000000",
    "agent_instance_id": "013xrzp12g3nqk8n0000000000000001",
    "parent_span_id": None,
    "schema_name": "agent:llm",
    "schema_title": "Model call",
    "status": "active",
    "payload": {"model": "large-1", "temperature": 0.2, "prompt": "Summarise the report."},
    "result_payload": None,
    "summary": None,
    "started_at": "2026-04-13T00:46:31.218000Z",
    "finished_at": None,
    "inserted_at": "2026-04-13T00:46:31.219000Z",
    "updated_at": "2026-04-13T00:46:31.219000Z",
}
BODY = json.dumps({"status": "success", "details": SPAN}, separators=(",", ":")).encode()
REPLY = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Responder(asyncio.Protocol):
    """Counts requests by their content length and answers each one."""

    def __init__(self) -> None:
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self.received, 0, end)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self.received) < size:
                return
            self.received = self.received[size:]
            self.transport.write(REPLY)


async def main() -> None:
    """Serve until the end of standard input."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Responder, "127.0.0.1", 0, backlog=256)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
