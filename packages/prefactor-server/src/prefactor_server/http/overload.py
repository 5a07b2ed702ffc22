"""What a connection too many is told: come back later, unless it asks how the server is.

An orchestrator must not kill a server for being busy, so a few connections beyond the bound are
heard: the pages for those who keep the server running are answered, everything else is not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prefactor_server.api.kernel.request_events import RequestEvent, RequestObserver
from prefactor_server.http.probes import PROBES

RESERVED_CONNECTIONS: Final = 32
"""How many connections beyond the bound are heard; any more are refused as they come."""

OVERLOAD_TIMEOUT_SECONDS: Final = 5
"""How long each of them has for its request: they have to be free when they are needed."""

RETRY_AFTER: Final = 1
"""The seconds after which to try again."""

STATUS: Final = 503
CODE: Final = "unexpected"
MESSAGE: Final = "Too many connections are open: try again later"

_LOG_EVERY_SECONDS: Final = 60.0
_DRAIN_BYTES: Final = 1024 * 1024

_log = structlog.get_logger("prefactor_server")


class OverloadResponder:
    """Answers in the place of an application on connections that are too many."""

    def __init__(
        self,
        max_connections: int,
        random_bytes: Callable[[int], bytes],
        observe: RequestObserver | None,
    ) -> None:
        self._max_connections = max_connections
        self._random_bytes = random_bytes
        self._observe = observe
        self._logged_at: float | None = None

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """What is served on such a connection in the place of ``app``; it closes afterwards."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] in PROBES:
                await app(scope, receive, _with_connection_close(send))
                return
            # A caller that is still sending may not look at what it is told.
            await _drain(receive)
            request_id = self._random_bytes(12).hex()
            body = error_body(CODE, MESSAGE, request_id)
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"x-request-id", request_id.encode()),
                (b"accept-encoding", b"gzip"),
                (b"retry-after", b"%d" % RETRY_AFTER),
                (b"connection", b"close"),
            ]
            await send({"type": "http.response.start", "status": STATUS, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            self.log_rejected(asyncio.get_running_loop().time())
            if self._observe is not None:
                self._observe(RequestEvent(request_id, scope["method"], "", STATUS, CODE, 0.0))

        return answer

    def log_rejected(self, now: float) -> None:
        """Write in the log that callers are turned away, once in a while."""
        if self._logged_at is None or now - self._logged_at >= _LOG_EVERY_SECONDS:
            self._logged_at = now
            _log.warning("connections_full", max_connections=self._max_connections)


def error_body(code: str, message: str, request_id: str) -> bytes:
    """The error body of the API, for answers that the API does not give."""
    error = {"status": "error", "code": code, "message": message, "request_id": request_id}
    return json.dumps(error).encode()


def _with_connection_close(send: Send) -> Send:
    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return closing


async def _drain(receive: Receive) -> None:
    size = 0
    more = True
    while more and size < _DRAIN_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
