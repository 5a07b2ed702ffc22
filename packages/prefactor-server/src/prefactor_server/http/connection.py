"""One HTTP connection: uvicorn's protocol with the limits that it lacks.

Uvicorn waits forever for the rest of a request, accepts heads, trailers and chunk extensions of any
size, parses all pipelined requests at once, and treats an ``Upgrade`` as the end of HTTP. The API
sees a request only when its head is complete, so these limits have to wrap the parser. Their
responses are observed like those of the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, NamedTuple, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from prefactor_server.api.asgi.request_events import RequestEvent, RequestObserver
from prefactor_server.http.connection_limit import (
    CODE,
    MESSAGE,
    OVERLOAD_TIMEOUT_SECONDS,
    RESERVED_CONNECTIONS,
    RETRY_AFTER,
    STATUS,
    OverloadResponder,
    rejection,
)
from prefactor_server.http.exchange import Exchange
from prefactor_server.http.memory_budget import MemoryBudget

MAX_HEAD_BYTES: Final = 64 * 1024
"""The largest request line with headers, in bytes. It also limits the framing of a body."""

MAX_HEADERS: Final = 1024
"""How many headers a request may have. Short ones take many times their size in memory."""

_SLICE_BYTES: Final = 4096
"""Bytes parsed between two checks of the limits: about 200 of the smallest requests."""

_FRAMING_PER_BODY_BYTE: Final = 8
"""Bytes of framing allowed per byte of the body. One-byte chunks need five."""

_TIMEOUT: Final = (408, "The request did not arrive in time: send it again")
_HEAD_TOO_LARGE: Final = (
    431,
    f"The headers are too large: at most {MAX_HEADERS} with {MAX_HEAD_BYTES} bytes are accepted",
)
_FRAMING_TOO_LARGE: Final = (
    431,
    "The trailers, the chunk extensions or the chunk sizes are too large: send larger chunks",
)
_NOT_HTTP: Final = (400, "The request is not valid HTTP")
_NO_PROXY: Final = (400, "CONNECT is not supported: this server is not a proxy")


class ConnectionLimits(NamedTuple):
    """The limits and services that all connections of a server share.

    A request must arrive within ``seconds``, from its first byte to its last, and a new connection
    must send its first byte in the same time. At most ``max_connections`` are served at a time.
    Zero means no limit.
    """

    seconds: int
    max_connections: int
    random_bytes: Callable[[int], bytes]
    observe: RequestObserver | None
    overload: OverloadResponder
    budget: MemoryBudget


class _Trailers(list[tuple[bytes, bytes]]):
    """Discards the trailers of a chunked body, so that they are never read as headers."""

    seen = False

    def append(self, _trailer: tuple[bytes, bytes], /) -> None:
        self.seen = True


class Connection(HttpToolsProtocol):
    """A connection that answers a request beyond its limits with an error, and closes."""

    def __init__(self, limits: ConnectionLimits, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._limits = limits
        self._seconds = limits.seconds
        self._started_at = 0.0
        self._latest: Exchange | None = None
        self._in_head = False
        self._in_message = False
        self._wants_upgrade = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._framing_excess = 0
        self._unparsed = b""
        self._rejection = b""
        self._timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first request, or reject a connection beyond the limit."""
        super().connection_made(transport)
        self._started_at = self.loop.time()
        limits = self._limits
        too_many = len(self.connections) - limits.max_connections if limits.max_connections else 0
        if too_many > RESERVED_CONNECTIONS:
            limits.overload.log_rejected(self._started_at)
            self._reject(STATUS, MESSAGE, CODE)
            return
        if too_many > 0:
            self.app = limits.overload.wrap(self.app)
            self._seconds = min(self._seconds or OVERLOAD_TIMEOUT_SECONDS, OVERLOAD_TIMEOUT_SECONDS)
        self._start_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeout and discard pipelined requests."""
        self._cancel_timeout()
        for exchange, _ in self.pipeline:
            cast("Exchange", exchange).discard_body()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and start the timeout if a request is incomplete."""
        self._unset_keepalive_if_required()
        if self._rejection or self.transport.is_closing():
            return
        if self.pipeline:
            self._unparsed += data
            return
        self._parse(self._unparsed + data if self._unparsed else data)
        if self._rejection or self.transport.is_closing():
            return
        latest = self._latest
        # Bytes between two requests belong to neither, and they end the keep-alive wait.
        stray = not self._in_message and (latest is None or latest.response_complete)
        if self._in_message or stray:
            self._start_timeout()
        if latest is not None and latest.body and latest.more_body:
            # The rest of a body is read when the application awaits it.
            self.flow.pause_reading()

    def on_message_begin(self) -> None:
        """Handle the first byte of a request."""
        self._in_head = self._in_message = True
        self._head_bytes = self._framing_excess = 0
        self._started_at = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Handle the end of the headers: start or queue the request's ASGI task."""
        parser = self.parser
        self.scope["method"] = parser.get_method().decode("ascii")
        version = parser.get_http_version()
        if version != "1.1":
            self.scope["http_version"] = version
        if parser.should_upgrade():
            self._wants_upgrade = True
            return
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"] = url.path
        self.scope["query_string"] = url.query or b""
        earlier = self._latest
        self.cycle = self._latest = exchange = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        exchange.budget = self._limits.budget
        self._in_head = False
        self.headers = _Trailers()
        application: Any = self.app
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(exchange, application)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, application))

    def on_body(self, body: bytes) -> None:
        """Buffer a part of the body, unless the application has already answered."""
        self._body_bytes += len(body)
        if self._latest is not None:
            self._latest.buffer_body(body)

    def on_message_complete(self) -> None:
        """Handle the end of a request."""
        exchange = self._latest
        if self._wants_upgrade or exchange is None:
            return
        self._in_message = False
        self._cancel_timeout()
        exchange.more_body = False
        exchange.message_event.set()
        if isinstance(self.headers, _Trailers) and self.headers.seen:
            # A trailer may have made the parser treat this as the last request.
            exchange.keep_alive &= self.parser.should_keep_alive()
            if exchange.response_complete and not exchange.keep_alive:
                self.transport.close()

    def on_response_complete(self) -> None:
        """Start the next pipelined request, or parse the data that has arrived meanwhile."""
        was_last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            self._unparsed = b""
        elif self._rejection and was_last:
            self._send_and_close(self._rejection)
        elif self._rejection or self.pipeline:
            self.flow.pause_reading()
        elif self._unparsed:
            self.data_received(b"")

    def _parse(self, data: bytes) -> None:
        """Parse in slices, until a request must wait for the response to an earlier one."""
        self._unparsed = b""
        if len(data) <= _SLICE_BYTES:
            self._parse_slice(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), _SLICE_BYTES):
            if self._rejection or self.transport.is_closing():
                return
            if self.pipeline:
                self._unparsed = bytes(view[start:])
                return
            self._parse_slice(view[start : start + _SLICE_BYTES])

    def _parse_slice(self, data: bytes | memoryview) -> None:
        was_in_head, was_in_body = self._in_head, self._in_message and not self._in_head
        self._body_bytes = 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as end:
            self._ignore_upgrade(data[end.args[0] :])
            return
        except httptools.HttpParserError:
            self._reject(*_NOT_HTTP)
            return
        # A slice in which a head or a body begins is not counted.
        if self._in_head and was_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
                self._reject(*_HEAD_TOO_LARGE)
        elif self._in_message and not self._in_head and was_in_body:
            framing = len(data) - self._body_bytes * (1 + _FRAMING_PER_BODY_BYTE)
            self._framing_excess = max(0, self._framing_excess + framing)
            if self._framing_excess > MAX_HEAD_BYTES:
                self._reject(*_FRAMING_TOO_LARGE)

    def _ignore_upgrade(self, rest: bytes | memoryview) -> None:
        """Parse a request again without its ``Upgrade`` header, then the data after its head.

        The parser treats all data after such a head, including the body, as the other protocol.
        """
        self._wants_upgrade = False
        method = self.scope["method"]
        if method == "CONNECT":
            self._reject(*_NO_PROXY)
            return
        request_line = b"%b %b HTTP/%b" % (
            method.encode(),
            self.url,
            self.scope["http_version"].encode(),
        )
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse_slice(b"\r\n".join([request_line, *headers, b"", b""]))
        if rest and not self._rejection and not self.transport.is_closing():
            self._parse_slice(rest)

    def _start_timeout(self) -> None:
        if self._timeout is None and self._seconds:
            self._timeout = self.loop.call_later(self._seconds, self._on_timeout)

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _on_timeout(self) -> None:
        self._timeout = None
        if self._rejection or self.transport.is_closing():
            return
        in_body = self._in_message and not self._in_head
        current, earlier = (self._latest, None) if in_body else (None, self._latest)
        if self.pipeline or (earlier is not None and not earlier.response_complete):
            # Earlier requests are still being answered; wait again.
            self._start_timeout()
        elif self._in_message and (current is None or not current.response_started):
            self._reject(*_TIMEOUT)
        else:
            self.transport.close()

    def _reject(self, status: int, message: str, code: str = "bad_request") -> None:
        """Reject the arriving request once earlier ones are answered, then close."""
        self._cancel_timeout()
        in_body = self._in_message and not self._in_head
        rejected, earlier = (self._latest, None) if in_body else (None, self._latest)
        if rejected is not None and rejected.response_started:
            self.transport.close()
            return
        must_wait = earlier is not None and not earlier.response_complete
        if rejected is not None and self.pipeline and self.pipeline[0][0] is rejected:
            self.pipeline.popleft()
            rejected.discard_body()
            must_wait = True
        request_id = self._limits.random_bytes(12).hex()
        # Until a head is complete, the scope is that of the previous request.
        response = rejection(status, code, message, request_id, self.scope if in_body else {})
        status, reason = response.status, HTTPStatus(response.status).phrase
        retry_after = f"retry-after: {RETRY_AFTER}\r\n" if status == STATUS else ""
        head = (
            f"HTTP/1.1 {status} {reason}\r\ncontent-type: {response.content_type.decode()}\r\n"
            f"content-length: {len(response.body)}\r\nx-request-id: {request_id}\r\n"
            "accept-encoding: gzip\r\n"
            f"{retry_after}connection: close\r\n\r\n"
        )
        self._rejection = head.encode() + response.body
        if must_wait:
            self.flow.pause_reading()
        else:
            self._send_and_close(self._rejection)
        if self._limits.observe is not None:
            # The API never saw the end of this request, so it does not report it.
            method = "" if self._in_head or not self._in_message else str(self.scope["method"])
            seconds = self.loop.time() - self._started_at
            self._limits.observe(RequestEvent(request_id, method, "", status, code, seconds))

    def _send_and_close(self, response: bytes) -> None:
        if self._latest is not None and not self._latest.response_complete:
            # This response replaces the application's.
            self._latest.disconnected = True
            self._latest.message_event.set()
        self.transport.write(response)
        self.transport.close()


def connections(
    seconds: int,
    random_bytes: Callable[[int], bytes],
    *,
    max_connections: int = 0,
    observe: RequestObserver | None = None,
    budget: MemoryBudget | None = None,
) -> type[Connection]:
    """Return a connection class with these limits; see ``ConnectionLimits``."""
    overload = OverloadResponder(max_connections, random_bytes, observe)
    limits = ConnectionLimits(
        seconds, max_connections, random_bytes, observe, overload, budget or MemoryBudget(0)
    )

    class LimitedConnection(Connection):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(limits, *arguments, **more)

    return LimitedConnection
