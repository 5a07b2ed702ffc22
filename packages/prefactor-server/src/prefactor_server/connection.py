"""One HTTP connection: uvicorn's protocol, with the bounds that it lacks.

Uvicorn waits for ever for the rest of a request, takes headers of any size, and as many connections
as come. The API sees a request only when its head is complete, so these bounds have to stand around
the parser; what they answer is observed like what the API answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from prefactor_server.api.observer import Answered, Observe
from prefactor_server.crowd import (
    CODE,
    MESSAGE,
    PATIENCE_SECONDS,
    RESERVED,
    RETRY_AFTER,
    STATUS,
    Crowd,
    error_body,
)

MAX_HEAD_BYTES: Final = 64 * 1024
"""How much of a request line with its headers may come before the rest of it is refused."""

_INTERIM: Final = b"HTTP/1.1 1"
"""What an interim answer begins with (100 Continue): the caller waits for it."""
_COPIED: Final = 64 * 1024
"""Bytes of a body up to which it is copied behind its head."""

_TIMEOUT: Final = (408, "Request Timeout", "The rest of the request did not come in time")
_TOO_LARGE: Final = (431, "Request Header Fields Too Large", "The headers are too large")


class Bounds(NamedTuple):
    """What all connections of a server have in common.

    A caller has ``seconds`` for each request, from its first byte to its last; a new connection has
    as long for its first byte. ``most`` connections are served at a time. Zero is no bound.
    """

    seconds: int
    most: int
    random_bytes: Callable[[int], bytes]
    observe: Observe | None
    crowd: Crowd


class Joined:
    """The transport of one answer, whose head leaves together with what follows it.

    Uvicorn writes head and body apart: two calls of the system and two packets for an answer of a
    few hundred bytes. In a profile of single writes, these calls were where most time was spent.
    """

    __slots__ = ("_awaits_head", "_finished", "_head", "_transport")

    def __init__(self, transport: asyncio.Transport, finished: Callable[[], object]) -> None:
        self._transport = transport
        self._finished = finished
        self._awaits_head = True
        self._head = b""

    def write(self, data: bytes) -> None:
        """Write a part of the answer; the first one waits for the next."""
        if self._awaits_head and not data.startswith(_INTERIM):
            self._awaits_head, self._head = False, data
        elif self._head and len(data) <= _COPIED:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        else:
            self.flush()
            self._transport.write(data)

    def finish(self) -> None:
        """The answer is whole; one to HEAD has only a head."""
        self.flush()
        self._finished()

    def flush(self) -> None:
        """Write a head that nothing has followed yet."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close the connection when everything is written."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        """Everything else is the connection's."""
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """A connection that is held to its bounds: beyond them it is answered in words, and closed."""

    def __init__(self, bounds: Bounds, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._bounds = bounds
        self._seconds = bounds.seconds
        self._begun = 0.0
        self._latest: RequestResponseCycle | None = None
        self._in_head = False
        self._in_message = False
        self._head_bytes = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, if there is room for it."""
        super().connection_made(transport)
        self._begun = self.loop.time()
        bounds = self._bounds
        too_many = len(self.connections) - bounds.most if bounds.most else 0
        if too_many > RESERVED:
            bounds.crowd.tell(self._begun)
            self._answer(STATUS, "Service Unavailable", MESSAGE, CODE)
            return
        if too_many > 0:
            self.app = bounds.crowd.application(self.app)
            self._seconds = min(self._seconds or PATIENCE_SECONDS, PATIENCE_SECONDS)
        self._begin_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._end_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and see whether the rest of a request is still to come."""
        had_begun = self._in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            # What came with the end of an earlier request is not counted: it is one read at most.
            self._head_bytes += len(data) if had_begun else 0
            if self._head_bytes > MAX_HEAD_BYTES:
                self._answer(*_TOO_LARGE)
                return
        # Bytes between two requests belong to none, and they end the wait for the next one.
        stray = not self._in_message and (self._latest is None or self._latest.response_complete)
        if self._in_message or stray:
            self._begin_waiting()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head = self._in_message = True
        self._head_bytes = 0
        self._begun = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """All of its headers."""
        self._in_head = False
        super().on_headers_complete()
        self._latest = self.cycle
        # Its own, and not the connection's: requests may come before earlier ones are answered.
        joined = Joined(self.transport, self._latest.on_response)
        self._latest.transport = joined  # type: ignore[assignment]
        self._latest.on_response = joined.finish

    def on_message_complete(self) -> None:
        """All of it."""
        self._in_message = False
        self._end_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, with the error body that everything here has."""
        self._answer(400, "Bad Request", msg)

    def _begin_waiting(self) -> None:
        if self._patience is None and self._seconds:
            self._patience = self.loop.call_later(self._seconds, self._give_up)

    def _end_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self.transport.is_closing():
            return
        in_body = self._in_message and not self._in_head
        current, earlier = (self._latest, None) if in_body else (None, self._latest)
        if self.pipeline or (earlier is not None and not earlier.response_complete):
            # The caller is owed an answer first.
            self._begin_waiting()
        elif self._in_message and (current is None or not current.response_started):
            self._answer(*_TIMEOUT)
        else:
            self.transport.close()

    def _answer(self, status: int, reason: str, message: str, code: str = "bad_request") -> None:
        request_id = self._bounds.random_bytes(12).hex()
        body = error_body(code, message, request_id)
        later = f"retry-after: {RETRY_AFTER}\r\n" if status == STATUS else ""
        head = (
            f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
            "accept-encoding: gzip\r\n"
            f"{later}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
        if self._bounds.observe is not None:
            # No head was complete, or the API has not been told of the end of the body: it has not
            # counted this request and never will.
            method = "" if self._in_head or not self._in_message else str(self.scope["method"])
            seconds = self.loop.time() - self._begun
            self._bounds.observe(Answered(request_id, method, "", status, code, seconds))


def connections(
    seconds: int,
    random_bytes: Callable[[int], bytes],
    *,
    most: int = 0,
    observe: Observe | None = None,
) -> type[Connection]:
    """The kind of connection that is held to these bounds; see ``Bounds``."""
    crowd = Crowd(most, random_bytes, observe)
    bounds = Bounds(seconds, most, random_bytes, observe, crowd)

    class Bound(Connection):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(bounds, *arguments, **more)

    return Bound
