"""The loop of the delivery thread: reads the journal, has requests sent, sleeps until it matters.

Everything that decides is elsewhere and pure; this moves entries from the journal to the planner,
starts requests when the pace allows, and finishes the flushes that somebody waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Any, Protocol

from prefactor_recorder.delivery.batch_size import BatchLimits
from prefactor_recorder.delivery.client import Sender
from prefactor_recorder.delivery.polling import Polls
from prefactor_recorder.delivery.responses import Exchange
from prefactor_recorder.delivery.throttle import Pace

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from prefactor_recorder.delivery.flush_request import Ticket
    from prefactor_recorder.delivery.parts import Parts

SLICE = 2**16
"""Bytes that are read from the journal before other threads and the sockets get their turn."""
UPKEEP = 1.0
"""Seconds between two visits to the journal while there is something to do."""


class Host(Protocol):
    """What the loop shares with the threads that record."""

    idle: bool
    """Whether the next record has to wake the loop."""
    closing: bool
    """Whether this is the end: what fails now is left for the next process."""
    stopping: bool
    """Whether the loop has to end, whatever is under way."""
    tickets: list[Ticket]
    """Flushes that have not been finished."""


class Engine:
    """One life of the loop. It ends when it is told to, or by an exception, which is a bug."""

    def __init__(self, host: Host, parts: Parts) -> None:
        """Prepare; `run` begins."""
        settings = parts.settings
        self._host = host
        self._parts = parts
        self._journal = parts.journal
        self._planner = parts.planner
        self._pace = Pace(
            interval=settings.interval,
            probe_interval=settings.probe_interval,
            in_flight=settings.requests_in_flight,
        )
        self._allowance = BatchLimits(settings.batch_items, settings.batch_bytes)
        self._polls = Polls(settings.poll_interval)
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._crash: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._upkeep_at = -math.inf

    def wake(self) -> None:
        """Have the loop look again; from any thread."""
        loop = self._loop
        if loop is not None:
            # Closed meanwhile? Then whoever starts it again looks by itself.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Deliver until told to stop."""
        self._loop = asyncio.get_running_loop()
        sender = Sender(self._parts.settings, self._parts.stats)
        exchange = Exchange(self._parts, sender, self._pace, self._allowance, self._polls)
        try:
            self._adopt()
            while not self._host.stopping:
                self._wake.clear()
                await self._turn(exchange)
        finally:
            self._loop = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await sender.close()

    async def _turn(self, exchange: Exchange) -> None:
        """Do what can be done now, then sleep."""
        if self._crash is not None:
            raise self._crash
        self._accept_tickets()
        await self._read(exchange)
        self._launch(exchange)
        self._look_after_journal()
        self._poll(exchange)
        self._finish_tickets()
        await self._sleep(exchange)

    async def _read(self, exchange: Exchange) -> None:
        """Read until a request can be filled, in slices."""
        while self._planner.room > 0 and not exchange.is_full and self._journal.unread:
            entries = self._journal.read(min(SLICE, self._planner.room))
            if not entries:
                return
            exchange.settle(self._planner.add(entries))
            await asyncio.sleep(0)

    def _launch(self, exchange: Exchange) -> None:
        """Send what may be sent."""
        now = _now()
        self._planner.release(now)
        while self._may_send_at(exchange) <= now:
            batch = self._planner.next_batch(now, self._allowance.items, self._allowance.bytes)
            if batch is None:
                return
            self._pace.sent(now)
            self._start(exchange.deliver(batch))

    def _may_send_at(self, exchange: Exchange) -> float:
        return self._pace.next_at(
            full=exchange.is_full,
            hurried=bool(self._host.tickets),
            in_flight=exchange.in_flight,
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

    async def _sleep(self, exchange: Exchange) -> None:
        """Sleep until something is due, or until somebody wakes the loop."""
        due = min(self._upkeep_at, self._polls.next_at, self._planner.next_release)
        if self._planner.ready_items:
            # Whatever is recorded meanwhile leaves with these.
            due = min(due, self._may_send_at(exchange))
        else:
            # In this order: whoever appends after the look at the journal sees the flag.
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

    # --- The journal, flushes, polls ------------------------------------------------------------

    def _look_after_journal(self) -> None:
        """About once a second while there is something to do and once after it, else rarely."""
        now = _now()
        busy = self._planner.held_bytes > 0 or self._journal.unread > 0
        if now >= self._upkeep_at:
            if self._journal.maintain():
                self._pace.recover()
            self._upkeep_at = now + self._parts.settings.adopt_interval
        if busy:
            self._upkeep_at = min(self._upkeep_at, now + UPKEEP)

    def _adopt(self) -> None:
        """Take over what dead processes left, and do not send it all at once."""
        if self._journal.adopt():
            self._pace.recover()

    def _accept_tickets(self) -> None:
        fresh = [ticket for ticket in self._host.tickets if ticket.until is None]
        if fresh:
            self._adopt()
            self._pace.hurry()
            self._planner.forgive(everyone=True)
        for ticket in fresh:
            ticket.until = self._planner.added + self._journal.unread

    def _finish_tickets(self) -> None:
        oldest, added = self._planner.oldest, self._planner.added
        # Bytes that were damaged count as unread until they are passed over, and never as added.
        reached = math.inf if not self._journal.unread else added
        inherited = self._journal.inherited > 0
        stuck = not self._tasks and self._is_stuck
        for ticket in list(self._host.tickets):
            until = ticket.until
            if until is None:
                continue
            done = not inherited and reached >= until and (oldest is None or oldest > until)
            if stuck or done:
                with contextlib.suppress(ValueError):  # somebody has stopped waiting
                    self._host.tickets.remove(ticket)
                ticket.finish()

    @property
    def _is_stuck(self) -> bool:
        """Whether nothing more can be done for those who wait, as far as they do.

        A pause (a token that is refused) ends when somebody changes something, which a flush
        cannot wait for; an outage passes, which only the end of the program cannot wait for.
        """
        if self._pace.rests(_now()):
            return True
        idle = self._pace.troubled or not (self._planner.ready_items or self._journal.unread)
        return self._host.closing and idle

    def _poll(self, exchange: Exchange) -> None:
        now = _now()
        if now < self._polls.next_at or self._pace.troubled:
            return
        run_id = self._polls.due(self._parts.listener.open_runs(), now)
        if run_id is not None:
            self._start(exchange.look_after(run_id))


def _now() -> float:
    return asyncio.get_running_loop().time()
