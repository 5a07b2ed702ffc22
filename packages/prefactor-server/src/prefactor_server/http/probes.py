"""What stands beside the API for those who keep the server running: no token, no account, no ids.

* ``/healthz``: the process answers.
* ``/readyz``: it can take writes, and is not about to stop.
* ``/metrics``: what it counts and measures.
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
# Whoever asks more often gets the same answer: a probe must not become a load.
_CACHE_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class ProbeResponse(NamedTuple):
    """What a page says."""

    status: int
    content_type: str
    body: bytes

    @classmethod
    def from_fields(cls, status: int, /, **fields: Any) -> ProbeResponse:
        """A page of JSON."""
        return cls(status, _JSON, json.dumps(fields).encode())


Page: TypeAlias = Callable[[], Awaitable[ProbeResponse]]


class OpsRoutes:
    """An application with pages of its own; whatever is none of them goes to the API."""

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
    """That there is an answer is the answer."""
    return ProbeResponse.from_fields(200, status="alive")


def metrics_page(metrics: Metrics) -> Page:
    """The metrics, as text."""

    async def page() -> ProbeResponse:
        return ProbeResponse(200, *metrics.render())

    return page


class Readiness:
    """Whether to send requests here.

    ``check`` raises ``Unavailable`` when the storage cannot take writes; it is asked at most once
    a second, by one request at a time.
    """

    def __init__(self, check: Callable[[], Awaitable[None]], *, timer: Callable[[], float]) -> None:
        self._check = check
        self._timer = timer
        self._stopping = False
        self._lock = asyncio.Lock()
        self._cached: tuple[float, ProbeResponse] | None = None
        self._unready = False

    def stop(self) -> None:
        """Say no from now on: the server is about to stop."""
        self._stopping = True

    async def page(self) -> ProbeResponse:
        """200 when it can take writes, 503 with the reason when it cannot."""
        if self._stopping:
            return ProbeResponse.from_fields(
                503, status="stopping", reason="The server is shutting down"
            )
        async with self._lock:
            if self._cached is None or self._timer() - self._cached[0] >= _CACHE_SECONDS:
                self._cached = (self._timer(), await self._check_now())
            return self._cached[1]

    async def _check_now(self) -> ProbeResponse:
        problem = await self._problem()
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

    async def _problem(self) -> Refusal | None:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS):
                await self._check()
        except Unavailable as error:
            return error
        except TimeoutError:
            return Unavailable("The database does not answer")
        except Exception as error:  # noqa: BLE001 - whatever fails here would fail a write
            name = type(error).__qualname__
            return Unavailable(f"The database cannot be checked ({name}): look at its own log")
        return None
