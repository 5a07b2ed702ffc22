"""The time limits of attempts, all watched by one timer.

A timer per request, as in aiohttp, costs a tenth of a whole call. Nearly all attempts end long
before their limit. So the loop has a single timer, for the attempt with the earliest limit. When it
fires, that attempt is usually over, and the timer is set again.
"""

from __future__ import annotations

import asyncio
import math
from contextvars import Context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class TimeoutWatcher:
    """Expires the attempts of one event loop that exceed their limits."""

    __slots__ = ("_timer", "due", "loop", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Create a watcher without attempts."""
        self.loop = loop
        self.running: set[Attempt] = set()
        """The attempts in progress."""
        self.due = math.inf
        """When the timer fires; infinity if none is set."""
        self._timer: asyncio.TimerHandle | None = None

    def schedule(self, until: float) -> None:
        """Set the timer to this time of the loop, which must be before `due`."""
        if self._timer is not None:
            self._timer.cancel()
        self.due = until
        # In a new context, because the caller's may keep objects alive.
        self._timer = self.loop.call_at(until, self._expire_overdue, context=Context())

    def _expire_overdue(self) -> None:
        """Expire overdue attempts, and set the timer for the next one."""
        # The timer may be early by the clock's resolution, so its own time counts as well.
        now = max(self.loop.time(), self.due)
        self.due, self._timer = math.inf, None
        for attempt in self.running:
            if attempt.until <= now and not attempt.expired:
                attempt.expire()
        nearest = min((a.until for a in self.running if not a.expired), default=math.inf)
        if nearest < math.inf:
            self.schedule(nearest)


class Attempt:
    """One attempt of the current task, as a context manager that raises `TimeoutError`.

    It also records facts about the connection in use.
    """

    __slots__ = ("_cancelling", "_task", "_watcher", "answered", "expired", "from_pool", "until")

    def __init__(self, watcher: TimeoutWatcher, seconds: float) -> None:
        """Create an attempt of the running task that may take at most `seconds`."""
        task = asyncio.current_task(watcher.loop)
        if task is None:
            message = "A request needs a running task"
            raise RuntimeError(message)
        self._task = task
        self._watcher = watcher
        self._cancelling = task.cancelling()
        self.until = watcher.loop.time() + seconds
        self.expired = False
        self.answered = False
        """Whether a byte of a response has arrived."""
        self.from_pool = False
        """Whether the connection was reused; known only for our own connectors."""

    def expire(self) -> None:
        """End the attempt by cancelling its task's current wait."""
        self.expired = True
        self._task.cancel()

    def __enter__(self) -> Self:
        """Begin."""
        watcher = self._watcher
        watcher.running.add(self)
        if self.until < watcher.due:
            watcher.schedule(self.until)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Turn our own cancellation into a timeout, and pass on any other.

        Counts like `asyncio.timeout`: if more cancellations are pending than at the start of the
        attempt, other code has cancelled the task as well.
        """
        self._watcher.running.discard(self)
        if self.expired:
            others = self._task.uncancel() > self._cancelling
            if isinstance(exc_val, asyncio.CancelledError) and not others:
                raise TimeoutError from exc_val
