"""Responses on connections beyond the limit: 503 for everything but the probes.

An orchestrator must not kill a server for being busy. A few connections beyond the limit are
therefore accepted, and probes on them are answered as usual.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prefactor_server.api.asgi.request_events import RequestEvent, RequestObserver
from prefactor_server.http.probes import PROBES
from prefactor_server.otlp.status import JSON, encoded_error, error_status
from prefactor_server.otlp.status import PATHS as OTLP_PATHS

RESERVED_CONNECTIONS: Final = 32
"""How many connections beyond the limit are accepted. More than these are rejected at once."""

OVERLOAD_TIMEOUT_SECONDS: Final = 5
"""How long such a connection may take to send its request, so that it ends soon."""

RETRY_AFTER: Final = 1
"""The value of the Retry-After header, in seconds."""

STATUS: Final = 503
CODE: Final = "unexpected"
MESSAGE: Final = "Too many connections are open: try again later"

_LOG_EVERY_SECONDS: Final = 60.0
_DRAIN_BYTES: Final = 1024 * 1024

_log = structlog.get_logger("prefactor_server")


class Rejection(NamedTuple):
    """An error response from outside the API."""

    status: int
    content_type: bytes
    body: bytes


class OverloadResponder:
    """Answers in place of the application on connections beyond the limit."""

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
        """Return an application that passes probes to ``app`` and rejects all other requests.

        The connection is closed after each response.
        """

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] in PROBES:
                await app(scope, receive, _with_connection_close(send))
                return
            # A client that is still sending may not read the response.
            await _drain(receive)
            request_id = self._random_bytes(12).hex()
            response = rejection(STATUS, CODE, MESSAGE, request_id, scope)
            headers = [
                (b"content-type", response.content_type),
                (b"content-length", b"%d" % len(response.body)),
                (b"x-request-id", request_id.encode()),
                (b"accept-encoding", b"gzip"),
                (b"retry-after", b"%d" % RETRY_AFTER),
                (b"connection", b"close"),
            ]
            await send({"type": "http.response.start", "status": STATUS, "headers": headers})
            await send({"type": "http.response.body", "body": response.body})
            self.log_rejected(asyncio.get_running_loop().time())
            if self._observe is not None:
                self._observe(RequestEvent(request_id, scope["method"], "", STATUS, CODE, 0.0))

        return answer

    def log_rejected(self, now: float) -> None:
        """Log that connections are rejected, at most once a minute."""
        if self._logged_at is None or now - self._logged_at >= _LOG_EVERY_SECONDS:
            self._logged_at = now
            _log.warning(
                "connections_full",
                max_connections=self._max_connections,
                help="New connections get 503. Raise max_connections, or find the client "
                "that opens so many",
            )


def rejection(
    status: int, code: str, message: str, request_id: str, scope: Mapping[str, Any]
) -> Rejection:
    """Return an error response from outside the API, in the form of the requested endpoint.

    ``scope`` describes the request. It is empty if the request's head is incomplete.
    """
    error = {"status": "error", "code": code, "message": message, "request_id": request_id}
    if scope.get("path") in OTLP_PATHS:
        status = error_status(status)
        content_type = dict(scope["headers"]).get(b"content-type", b"")
        return Rejection(status, *encoded_error(status, error, content_type))
    return Rejection(status, JSON, json.dumps(error).encode())


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
