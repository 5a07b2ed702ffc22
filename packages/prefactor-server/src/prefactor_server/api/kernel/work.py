"""The time slices of a request: it yields to others after each, and their sum is limited."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog
from starlette.types import Receive

from prefactor_server.api.asgi.body import ClientDisconnected, wait_for_disconnect
from prefactor_server.validation.budget import Budget

_TIME_SLICE_SECONDS: Final = 0.005
"""How long a request runs before it yields to others."""

_WATCH_DISCONNECT_AFTER_SECONDS: Final = 0.05
"""The amount of work after which a request begins to watch for its client's disconnect."""

_MAX_SECONDS: Final = 30.0
"""The limit on all slices together, for work that the step budget does not count."""

MAX_KEPT_BYTES: Final = 4 * 1024 * 1024
"""What a request keeps of stored payloads until it is answered. The others are read again then."""

_log = structlog.get_logger(__name__)


class Work:
    """The work of one request: its budget, its time slices and its client's connection.

    ``read_cost`` is what the reads of a bulk request have cost.
    """

    __slots__ = (
        "_disconnected",
        "_elapsed",
        "_kept_bytes",
        "_receive",
        "_slice_started",
        "budget",
        "read_cost",
    )

    def __init__(self, receive: Receive | None = None) -> None:
        self.budget = Budget()
        self.read_cost = 0
        self._kept_bytes = 0
        self._receive = receive
        self._disconnected: asyncio.Task[None] | None = None
        self._slice_started = time.perf_counter()
        self._elapsed = 0.0

    def keep(self, size: int) -> bool:
        """Count a stored payload for the answer, or return False if there is no room for it."""
        if self._kept_bytes + size > MAX_KEPT_BYTES:
            return False
        self._kept_bytes += size
        return True

    def is_due(self) -> bool:
        """Return whether this request has used up its time slice."""
        return time.perf_counter() - self._slice_started > _TIME_SLICE_SECONDS

    async def pause(self) -> None:
        """Yield to other requests if this one has used up its time slice.

        Raises:
            ClientDisconnected: the client has disconnected.
        """
        if not self.is_due():
            return
        self._elapsed += time.perf_counter() - self._slice_started
        if self._elapsed > _MAX_SECONDS:
            self.budget.exhaust()
        if (
            self._disconnected is None
            and self._receive is not None
            and self._elapsed > _WATCH_DISCONNECT_AFTER_SECONDS
        ):
            self._disconnected = asyncio.ensure_future(wait_for_disconnect(self._receive))
        await asyncio.sleep(0)
        if self._disconnected is not None and self._disconnected.done():
            raise ClientDisconnected
        self._slice_started = time.perf_counter()

    def close(self, request_id: str) -> None:
        """Stop watching the connection, and log whether checks were skipped."""
        if self._disconnected is not None:
            self._disconnected.cancel()
        if self.budget.exceeded:
            _log.warning("checks_left_out", request_id=request_id)
