"""A server that takes every bulk request and answers at once; the floor of what delivery can do.

It speaks just enough HTTP and reads nothing of a request but the keys of its items, so that what is
measured is the recorder. It is told what to do by lines on standard input, and answers each with
one line: `counts` (requests since the last time it was asked, and items in all), `down` (every
connection is reset, as in an outage), `up`, and `hang` (requests are taken and never answered).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
from typing import Final

KEY: Final = re.compile(rb'"idempotency_key":"([^"]+)"')
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
END: Final = b"\r\n\r\n"
DETAILS: Final = (
    b'{"status":"success","details":{"type":"agent_span","account_id":'
    b'"0000000000ewts800000000000000000","status":"complete"}}'
)


class State:
    """What the server does, and what it has seen."""

    mode = "up"
    requests = 0
    keys: Final[set[bytes]] = set()
    repeated = 0


class Connection(asyncio.Protocol):
    """One connection, any number of requests after one another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, unless there is an outage."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = bytearray()
        if State.mode == "down":
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        if State.mode == "down":
            self.transport.abort()
            return
        self.received += data
        while (end := self.received.find(END)) >= 0:
            head = bytes(self.received[:end])
            length = LENGTH.search(head)
            whole = end + len(END) + (int(length[1]) if length else 0)
            if len(self.received) < whole:
                return
            body = bytes(self.received[end + len(END) : whole])
            del self.received[:whole]
            self.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        """Respond with success for every item."""
        State.requests += 1
        if State.mode == "hang":
            return
        if b"content-encoding: gzip" in head.lower():
            body = gzip.decompress(body)
        keys = KEY.findall(body)
        known = len(State.keys)
        State.keys.update(keys)
        State.repeated += len(keys) - (len(State.keys) - known)
        outputs = b",".join(b'"%b":%b' % (key, DETAILS) for key in keys)
        reply = b'{"status":"success","outputs":{%b}}' % outputs
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(reply), reply)
        )


def obey(line: str) -> str:
    """Do what one line says, and answer it."""
    if line == "counts":
        counts = {"requests": State.requests, "items": len(State.keys), "repeated": State.repeated}
        State.requests = 0
        return json.dumps(counts)
    State.mode = line
    return line


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(obey(line.strip()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
