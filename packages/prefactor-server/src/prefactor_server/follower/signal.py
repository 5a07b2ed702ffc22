"""The signal that something was committed in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


class CommitSignal:
    """Wakes waiters after a commit. What was committed is in the feed."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self._callbacks: list[Callable[[], None]] = []

    def call(self, callback: Callable[[], None]) -> None:
        """Call a function at every commit. It must be quick and must not raise."""
        self._callbacks.append(callback)

    def notify(self) -> None:
        """Wake every waiter, at once or at its next wait."""
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
    """Waits for commits, repeatedly."""

    def __init__(self, event: asyncio.Event, waiting: set[asyncio.Event]) -> None:
        self._event = event
        self._waiting = waiting

    async def wait(self, seconds: float) -> bool:
        """Wait for the next commit, or some seconds; return whether there was a commit.

        A commit since the last call counts.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        committed = self._event.is_set()
        self._event.clear()
        return committed

    def close(self) -> None:
        """Stop waiting."""
        self._waiting.discard(self._event)
