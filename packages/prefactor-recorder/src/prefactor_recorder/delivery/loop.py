"""The event loop of the delivery thread.

Moves entries from the journal to the planner, starts requests when the throttle allows, and
completes flushes. All decisions are made by pure code elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Any, Protocol

from prefactor_recorder.delivery.batch_size import BatchLimits
from prefactor_recorder.delivery.client import ApiClient
from prefactor_recorder.delivery.heartbeats import HeartbeatSchedule
from prefactor_recorder.delivery.polling import PollSchedule
from prefactor_recorder.delivery.responses import ResponseHandler
from prefactor_recorder.delivery.sender import Sender
from prefactor_recorder.delivery.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from prefactor_recorder.delivery.flush_request import FlushRequest
    from prefactor_recorder.delivery.parts import DeliveryContext

READ_BYTES = 2**16
"""Bytes to read from the journal before yielding to other threads and the sockets."""
MAINTAIN_INTERVAL = 1.0
"""Seconds between two calls of `Journal.maintain` while there is something to do."""


class Host(Protocol):
    """State that the loop shares with the recording threads."""

    idle: bool
    """Whether the next record has to wake the loop."""
    closing: bool
    """Whether the program is exiting, so that failed requests are left to the next process."""
    stopping: bool
    """Whether the loop must end, even with requests in flight."""
    flush_requests: list[FlushRequest]
    """Pending flushes."""


class Engine:
    """One run of the loop. It ends when told to; any exception that ends it is a bug."""

    def __init__(self, host: Host, context: DeliveryContext) -> None:
        """Create a loop; `run` starts it."""
        settings = context.settings
        self._host = host
        self._context = context
        self._journal = context.journal
        self._planner = context.planner
        self._throttle = Throttle(
            interval=settings.interval,
            probe_interval=settings.probe_interval,
            in_flight=settings.requests_in_flight,
        )
        self._batch_limits = BatchLimits(settings.batch_items, settings.batch_bytes)
        self._polling = PollSchedule(settings.poll_interval)
        self._heartbeats = HeartbeatSchedule(settings.heartbeat_interval)
        self._handler = ResponseHandler(
            context,
            self._throttle,
            self._batch_limits,
            polling=self._polling,
            heartbeats=self._heartbeats,
        )
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._crash: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._maintain_at = -math.inf

    def wake(self) -> None:
        """Wake the loop. May be called from any thread."""
        loop = self._loop
        if loop is not None:
            # If the loop has just closed, the next one reads the journal anyway.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Deliver until told to stop."""
        self._loop = asyncio.get_running_loop()
        client = ApiClient(self._context.settings, self._context.stats)
        sender = Sender(client, self._handler)
        try:
            self._adopt()
            while not self._host.stopping:
                self._wake.clear()
                await self._step(sender)
        finally:
            self._loop = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await client.close()

    async def _step(self, sender: Sender) -> None:
        """Do everything that is due, then sleep."""
        if self._crash is not None:
            raise self._crash
        self._accept_flushes()
        await self._read()
        self._send(sender)
        self._maintain_journal()
        self._watch_runs(sender)
        self._finish_flushes()
        await self._sleep(sender)

    async def _read(self) -> None:
        """Read from the journal, in slices, until a request can be filled."""
        while self._planner.room > 0 and not self._handler.is_full and self._journal.unread:
            entries = self._journal.read(min(READ_BYTES, self._planner.room))
            if not entries:
                return
            self._handler.commit(self._planner.add(entries))
            await asyncio.sleep(0)

    def _send(self, sender: Sender) -> None:
        """Start the requests that the throttle allows now."""
        now = _now()
        self._planner.release(now)
        while self._may_send_at(sender) <= now:
            batch = self._planner.next_batch(
                now, self._batch_limits.items, self._batch_limits.bytes
            )
            if batch is None:
                return
            self._throttle.sent(now)
            self._start(sender.send_batch(batch))

    def _may_send_at(self, sender: Sender) -> float:
        return self._throttle.next_at(
            full=self._handler.is_full,
            flushing=bool(self._host.flush_requests),
            in_flight=sender.in_flight,
        )

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._crash = task.exception()
        self._wake.set()

    # --- Sleep ----------------------------------------------------------------------------------

    async def _sleep(self, sender: Sender) -> None:
        """Sleep until something is due or the loop is woken."""
        due = min(self._maintain_at, self._watch_at, self._planner.next_release)
        if self._planner.ready_items:
            # Records that arrive meanwhile join the same request.
            due = min(due, self._may_send_at(sender))
        else:
            # Set the flag first, so that an append after the check below wakes the loop.
            self._host.idle = True
            if self._host.stopping or (self._journal.unread and self._planner.room > 0):
                due = -math.inf
        if due <= _now():
            await asyncio.sleep(0)
        else:
            await self._sleep_until(due)
        self._host.idle = False

    async def _sleep_until(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        timer = None if due == math.inf else loop.call_at(due, self._wake.set)
        await self._wake.wait()
        if timer is not None:
            timer.cancel()

    # --- The journal, flushes, open runs --------------------------------------------------------

    def _maintain_journal(self) -> None:
        """Maintain the journal: every second while busy, once afterwards, and rarely when idle."""
        now = _now()
        busy = self._planner.held_bytes > 0 or self._journal.unread > 0
        if now >= self._maintain_at:
            if self._journal.maintain():
                self._throttle.recover()
            self._maintain_at = now + self._context.settings.adopt_interval
        if busy:
            self._maintain_at = min(self._maintain_at, now + MAINTAIN_INTERVAL)

    def _adopt(self) -> None:
        """Adopt records of dead processes, and send them at the slower rate of a recovery."""
        if self._journal.adopt():
            self._throttle.recover()

    def _accept_flushes(self) -> None:
        fresh = [request for request in self._host.flush_requests if request.until is None]
        if fresh:
            self._adopt()
            self._throttle.probe_now()
            self._planner.unblock(all_queues=True)
        for request in fresh:
            request.until = self._planner.added + self._journal.unread

    def _finish_flushes(self) -> None:
        oldest, added = self._planner.oldest, self._planner.added
        # Damaged bytes count as unread until they are skipped, and never as added.
        reached = math.inf if not self._journal.unread else added
        inherited = self._journal.inherited > 0
        stuck = not self._tasks and self._cannot_progress
        for request in list(self._host.flush_requests):
            until = request.until
            if until is None:
                continue
            done = not inherited and reached >= until and (oldest is None or oldest > until)
            if stuck or done:
                with contextlib.suppress(ValueError):  # its caller has stopped waiting
                    self._host.flush_requests.remove(request)
                request.finish()

    @property
    def _cannot_progress(self) -> bool:
        """Whether a flush cannot make progress now (paused, or closing during an outage).

        A pause, as for a rejected token, ends only when somebody intervenes, so no flush waits
        for it. An outage passes by itself, so only the program's exit does not wait for it.
        """
        if self._throttle.is_waiting_to_probe(_now()):
            return True
        idle = self._throttle.troubled or not (self._planner.ready_items or self._journal.unread)
        return self._host.closing and idle

    @property
    def _watch_at(self) -> float:
        """When to send heartbeats, or to poll a server without heartbeats."""
        due = self._heartbeats.next_at
        return due if self._heartbeats.is_supported else min(due, self._polling.next_at)

    def _watch_runs(self, sender: Sender) -> None:
        """Send the heartbeats that are due, or poll a server without heartbeats."""
        now = _now()
        if now < self._watch_at:
            return
        if self._throttle.troubled:
            # A time in the past would keep the loop from sleeping until the outage ends.
            self._heartbeats.postpone(now)
            self._polling.postpone(now)
            return
        runs = self._context.listener.open_runs()
        if not self._heartbeats.is_supported:
            run_id = self._polling.due(runs, now)
            if run_id is not None:
                self._start(sender.poll_run(run_id))
        for ids in self._heartbeats.due(runs, now):
            self._start(sender.send_heartbeat(ids))


def _now() -> float:
    return asyncio.get_running_loop().time()
