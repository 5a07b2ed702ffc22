"""The signal that something was committed in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


class CommitSignal:
    """Wakes those who wait for a commit. It says nothing of what was committed: the feed does."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self._callbacks: list[Callable[[], None]] = []

    def call(self, callback: Callable[[], None]) -> None:
        """Have a function called at every commit; it has to be quick, and must not raise."""
        self._callbacks.append(callback)

    def notify(self) -> None:
        """Wake everyone who waits or waits next."""
        for callback in self._callbacks:
            callback()
        for event in self._waiting:
            event.set()

    def subscribe(self) -> CommitWaiter:
        """Return a waiter that misses no commit from now on."""
        event = asyncio.Event()
        self._waiting.add(event)
        return CommitWaiter(event, self._waiting)


class CommitWaiter:
    """One who waits for commits, again and again."""

    def __init__(self, event: asyncio.Event, waiting: set[asyncio.Event]) -> None:
        self._event = event
        self._waiting = waiting

    async def wait(self, seconds: float) -> bool:
        """Return at the next commit, or after some seconds; whether there was a commit.

        A commit since the last call counts.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        committed = self._event.is_set()
        self._event.clear()
        return committed

    def close(self) -> None:
        """Wait no more."""
        self._waiting.discard(self._event)
