"""What one request may do before it is answered, and when it lets others have their turn."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog
from starlette.types import Receive

from prefactor_server.api.kernel.body import CallerLeft
from prefactor_server.validation.budget import Budget

_TURN_SECONDS: Final = 0.005
"""How long a request works before others are looked at."""

_LONG_SECONDS: Final = 0.05
"""From when on it is worth a look whether the caller is still there."""

_MOST_SECONDS: Final = 30.0
"""What all turns of a request may take; steps count what it costs, this is for what they miss."""

_log = structlog.get_logger(__name__)


class Work:
    """The work of one request: its budget, its turns, and whether its caller is still there."""

    __slots__ = ("_left", "_receive", "_since", "_taken", "budget")

    def __init__(self, receive: Receive | None = None) -> None:
        self.budget = Budget()
        self._receive = receive
        self._left: asyncio.Task[None] | None = None
        self._since = time.perf_counter()
        self._taken = 0.0

    def is_due(self) -> bool:
        """Whether this request has had its turn."""
        return time.perf_counter() - self._since > _TURN_SECONDS

    async def pause(self) -> None:
        """Let others have their turn, if this request has had its own.

        Raises:
            CallerLeft: nobody waits for the answer any more.
        """
        if not self.is_due():
            return
        self._taken += time.perf_counter() - self._since
        if self._taken > _MOST_SECONDS:
            self.budget.exhaust()
        if self._left is None and self._receive is not None and self._taken > _LONG_SECONDS:
            self._left = asyncio.ensure_future(_until_left(self._receive))
        await asyncio.sleep(0)
        if self._left is not None and self._left.done():
            raise CallerLeft
        self._since = time.perf_counter()

    def close(self, request_id: str) -> None:
        """Stop looking at the connection; say in the log when something was left out."""
        if self._left is not None:
            self._left.cancel()
        if self.budget.exceeded:
            _log.warning("checks_left_out", request_id=request_id)


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
