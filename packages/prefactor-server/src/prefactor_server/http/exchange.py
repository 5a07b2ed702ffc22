"""One request and its response: uvicorn's cycle, with backpressure in both directions.

The request body is read from the connection only while the application awaits it. The response
head is sent together with the first part of the body, and a send completes only when the
connection's buffer has room again.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from prefactor_server.http.memory_budget import MemoryBudget

_MAX_COALESCED_BYTES: Final = 64 * 1024
"""The largest body that is copied to be written together with its head."""

_BODILESS_STATUSES: Final = (204, 304)


class Exchange(RequestResponseCycle):
    """The ``receive`` and ``send`` of one ASGI request."""

    _head = b""
    _until_close = False
    chunked_encoding: bool | None
    budget: MemoryBudget

    async def run_asgi(self, app: Any) -> None:
        """Run the application, then discard the unread part of the body."""
        try:
            await super().run_asgi(app)
        finally:
            self.discard_body()

    def buffer_body(self, part: bytes) -> None:
        """Buffer a part of the body until the application reads it."""
        if not self.response_complete and not self.disconnected:
            self.budget.held += len(part)
            self.body += part
            self.message_event.set()

    def discard_body(self) -> None:
        """Discard the unread part of the body."""
        self.budget.held -= len(self.body)
        self.body = bytearray()

    async def receive(self) -> Any:
        """Wait for the next part of the body. The connection is read only during this call."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            if not self.message_event.is_set():
                self.flow.resume_reading()
                await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body = bytes(self.body)
        # From now on it counts against the application's lease.
        self.discard_body()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:  # type: ignore[override]
        """Write a part of the response, and wait until the connection's buffer has room."""
        if self.disconnected:
            return
        if message["type"] == "http.response.abort":
            # Our own extension of ASGI: ends a response without waiting for its client to read.
            self.disconnected = True
            self.transport.abort()
            return
        if not self.response_started:
            self.response_started = True
            self.waiting_for_100_continue = False
            headers = [*self.default_headers, *message.get("headers", ())]
            self._head = self._response_head(message["status"], headers)
            return
        self._write_body(message.get("body", b""), more=message.get("more_body", False))
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()

    def _response_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        lines = [STATUS_LINE[status][:-2]]
        for name, value in headers:
            lines.append(b"%b: %b" % (name, value))
            if name == b"content-length":
                self.chunked_encoding, self.expected_content_length = False, int(value)
            elif name == b"connection" and value == b"close":
                self.keep_alive = False
        if not self.keep_alive and (b"connection", b"close") not in headers:
            lines.append(b"connection: close")
        if self.scope["method"] == "HEAD" or status in _BODILESS_STATUSES:
            self.chunked_encoding = None
        elif self.chunked_encoding is None and self.scope["http_version"] == "1.0":
            # HTTP/1.0 has no chunks. Its connections end with their first response.
            self._until_close = True
        elif self.chunked_encoding is None:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked")
        head = b"\r\n".join([*lines, b"", b""])
        if not head.count(b"\r") == head.count(b"\n") == len(lines) + 1:
            raise RuntimeError("A response header contains a line break")
        return head

    def _write_body(self, body: bytes, *, more: bool) -> None:
        if self._until_close:
            pass
        elif self.chunked_encoding is None:
            body = b""
        elif self.chunked_encoding:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (
                b"" if more else b"0\r\n\r\n"
            )
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("The response body does not match its Content-Length")
        head, self._head = self._head, b""
        if head and len(body) > _MAX_COALESCED_BYTES:
            self.transport.write(head)
        elif head:
            body = head + body
        if body:
            self.transport.write(body)
        if not more:
            self._finish()

    def _finish(self) -> None:
        self.response_complete = True
        self.discard_body()
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
