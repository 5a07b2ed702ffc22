"""Operational pages next to the API. They need no token and expose no account or id.

* ``/healthz``: the process is alive.
* ``/readyz``: the server accepts writes and is not shutting down.
* ``/metrics``: Prometheus metrics.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from prefactor_server.domain.errors import Refusal, Unavailable
from prefactor_server.http.metrics import Metrics

PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""The paths of these pages."""

_JSON: Final = "application/json"
_CHECK_TIMEOUT_SECONDS: Final = 5
# More frequent probes get the cached response, so that they cause no load.
_CACHE_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class ProbeResponse(NamedTuple):
    """The response of a page."""

    status: int
    content_type: str
    body: bytes

    @classmethod
    def from_fields(cls, status: int, /, **fields: Any) -> ProbeResponse:
        """Return a JSON response."""
        return cls(status, _JSON, json.dumps(fields).encode())


Page: TypeAlias = Callable[[], Awaitable[ProbeResponse]]


class OpsRoutes:
    """An ASGI application that serves the operational pages and passes the rest to the API."""

    def __init__(self, api: ASGIApp, pages: Mapping[str, Page]) -> None:
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        page = self._pages.get(scope["path"])
        if page is None or scope["method"] not in ("GET", "HEAD"):
            await self._api(scope, receive, send)
            return
        answer = await page()
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})


async def alive() -> ProbeResponse:
    """Report that the process is alive."""
    return ProbeResponse.from_fields(200, status="alive")


def metrics_page(metrics: Metrics) -> Page:
    """Return the page that shows the metrics."""

    async def page() -> ProbeResponse:
        return ProbeResponse(200, *metrics.render())

    return page


class Readiness:
    """Whether the server should receive requests.

    ``check`` raises ``Unavailable`` when the storage cannot accept writes. One check runs at a
    time, and probes that arrive during it or within a second after it share its result.
    """

    def __init__(self, check: Callable[[], Awaitable[None]], *, timer: Callable[[], float]) -> None:
        self._check = check
        self._timer = timer
        self._stopping = False
        self._lock = asyncio.Lock()
        self._cached: tuple[float, ProbeResponse] | None = None
        self._unready = False

    def stop(self) -> None:
        """Report "not ready" from now on, because the server is shutting down."""
        self._stopping = True

    async def problem(self) -> str | None:
        """Return why the server accepts no writes, or None if it does."""
        answer = await self.page()
        reason: str | None = json.loads(answer.body).get("reason")
        return reason

    async def page(self) -> ProbeResponse:
        """Return 200 if the server accepts writes, else 503 with the reason."""
        if self._stopping:
            return ProbeResponse.from_fields(
                503, status="stopping", reason="The server is shutting down"
            )
        async with self._lock:
            if self._cached is None or self._timer() - self._cached[0] >= _CACHE_SECONDS:
                answer = await self._check_now()
                # The time after the check. Otherwise probes waiting for a slow check, which may
                # take longer than they are apart, would queue up for checks of their own.
                self._cached = (self._timer(), answer)
            return self._cached[1]

    async def _check_now(self) -> ProbeResponse:
        problem = await self._refusal()
        if problem is None:
            if self._unready:
                _log.info("ready")
            self._unready = False
            return ProbeResponse.from_fields(200, status="ready")
        if not self._unready:
            _log.error("not_ready", code=problem.code, reason=problem.message)
        self._unready = True
        return ProbeResponse.from_fields(
            503, status="unavailable", code=problem.code, reason=problem.message
        )

    async def _refusal(self) -> Refusal | None:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS):
                await self._check()
        except Unavailable as error:
            return error
        except TimeoutError:
            return Unavailable("The database does not respond")
        except Exception as error:  # noqa: BLE001 - any failure here would fail a write
            name = type(error).__qualname__
            return Unavailable(f"The database cannot be checked ({name}): look at its own log")
        return None
