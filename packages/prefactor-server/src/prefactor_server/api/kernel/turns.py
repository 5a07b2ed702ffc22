"""Limits how many costly reads run at a time, and gives every caller its turn.

Reads share a few threads or connections with the reads that prepare writes. Without a limit, one
caller could occupy all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from prefactor_server.domain.errors import Overloaded

T = TypeVar("T")

MAX_WAITING: Final = 32
"""How many reads of one caller may wait for a turn."""


class Turns:
    """Lets ``at_once`` reads run. The others wait, and callers take turns.

    A caller that sends many reads delays its own, and those of each other caller by one turn.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        # In the order in which callers get their next turn.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, caller: str, *, limited: bool = True) -> AsyncGenerator[None]:
        """Wait for a turn of this caller, and hold it.

        Raises:
            Overloaded: too many reads of this caller are waiting. Not raised unless ``limited``.
        """
        await self._begin(caller, limited=limited)
        try:
            yield
        finally:
            self._end()

    async def each(self, caller: str, pieces: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yield the pieces of a response that is produced while it is sent, each made in a turn."""
        while True:
            # A response that has begun must not fail because of others.
            async with self.turn(caller, limited=False):
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    return
            yield piece

    async def _begin(self, caller: str, *, limited: bool) -> None:
        if self._free:
            self._free -= 1
            return
        queue = self._waiting.setdefault(caller, deque())
        # A caller that disconnects while it waits stays in the queue, so the queue is limited.
        if limited and len(queue) >= MAX_WAITING:
            raise Overloaded(
                f"{MAX_WAITING} costly reads with this token are waiting: send this one later"
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._end()
            raise

    def _end(self) -> None:
        while self._waiting:
            caller, queue = next(iter(self._waiting.items()))
            del self._waiting[caller]
            turn = queue.popleft()
            if queue:
                self._waiting[caller] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
