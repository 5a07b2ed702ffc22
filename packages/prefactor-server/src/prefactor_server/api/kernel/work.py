"""What one request may do before it is answered, and when it lets others have their turn."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog
from starlette.types import Receive

from prefactor_server.api.kernel.body import ClientDisconnected
from prefactor_server.validation.budget import Budget

_TIME_SLICE_SECONDS: Final = 0.005
"""How long a request works before others are looked at."""

_WATCH_DISCONNECT_AFTER_SECONDS: Final = 0.05
"""From when on it is worth a look whether the caller is still there."""

_MAX_SECONDS: Final = 30.0
"""What all turns of a request may take; steps count what it costs, this is for what they miss."""

_log = structlog.get_logger(__name__)


class Work:
    """The work of one request: its budget, its turns, and whether its caller is still there."""

    __slots__ = ("_disconnected", "_elapsed", "_receive", "_slice_started", "budget")

    def __init__(self, receive: Receive | None = None) -> None:
        self.budget = Budget()
        self._receive = receive
        self._disconnected: asyncio.Task[None] | None = None
        self._slice_started = time.perf_counter()
        self._elapsed = 0.0

    def is_due(self) -> bool:
        """Whether this request has had its turn."""
        return time.perf_counter() - self._slice_started > _TIME_SLICE_SECONDS

    async def pause(self) -> None:
        """Let others have their turn, if this request has had its own.

        Raises:
            CallerLeft: nobody waits for the answer any more.
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
            self._disconnected = asyncio.ensure_future(_wait_for_disconnect(self._receive))
        await asyncio.sleep(0)
        if self._disconnected is not None and self._disconnected.done():
            raise ClientDisconnected
        self._slice_started = time.perf_counter()

    def close(self, request_id: str) -> None:
        """Stop looking at the connection; say in the log when something was left out."""
        if self._disconnected is not None:
            self._disconnected.cancel()
        if self.budget.exceeded:
            _log.warning("checks_left_out", request_id=request_id)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
