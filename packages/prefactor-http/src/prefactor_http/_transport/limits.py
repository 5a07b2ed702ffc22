"""The time limits of attempts: one timer watches all of them.

A timer for each request, as aiohttp starts and cancels it, is a tenth of what a whole call costs.
Nearly all attempts end long before their limit, so here the loop holds a single timer, for the
attempt that would end first; when it goes off, it mostly finds that attempt gone and is set again.
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
    """Ends the attempts of one event loop that outlast their limits."""

    __slots__ = ("_timer", "due", "loop", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start without attempts."""
        self.loop = loop
        self.running: set[Attempt] = set()
        """The attempts that have begun and not ended."""
        self.due = math.inf
        """When the timer goes off; infinity while there is none."""
        self._timer: asyncio.TimerHandle | None = None

    def schedule(self, until: float) -> None:
        """Set the timer to this time of the loop, which is before `due`."""
        if self._timer is not None:
            self._timer.cancel()
        self.due = until
        # In a context of its own: the caller's may hold on to anything.
        self._timer = self.loop.call_at(until, self._expire_overdue, context=Context())

    def _expire_overdue(self) -> None:
        """End what is over, and set the timer for what ends next."""
        # The timer may be early by the resolution of the clock, so its own time counts as well.
        now = max(self.loop.time(), self.due)
        self.due, self._timer = math.inf, None
        for attempt in self.running:
            if attempt.until <= now and not attempt.expired:
                attempt.expire()
        nearest = min((a.until for a in self.running if not a.expired), default=math.inf)
        if nearest < math.inf:
            self.schedule(nearest)


class Attempt:
    """One attempt of the current task, as a context manager; `TimeoutError` when it expires.

    It also carries what is learned on the way about the connection in use.
    """

    __slots__ = ("_cancelling", "_task", "_watcher", "answered", "expired", "from_pool", "until")

    def __init__(self, watcher: TimeoutWatcher, seconds: float) -> None:
        """Prepare an attempt of the running task that may take at most `seconds`."""
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
        """Whether a byte of a reply has arrived."""
        self.from_pool = False
        """Whether the connection had been used before; known only for connectors of ours."""

    def expire(self) -> None:
        """End the attempt by cancelling what its task waits for."""
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
        """Turn our own cancellation into a timeout, and let anybody else's pass.

        The bookkeeping is that of `asyncio.timeout`: when more cancellations are pending than
        when the attempt began, somebody else wants the task to end as well.
        """
        self._watcher.running.discard(self)
        if self.expired:
            others = self._task.uncancel() > self._cancelling
            if isinstance(exc_val, asyncio.CancelledError) and not others:
                raise TimeoutError from exc_val
