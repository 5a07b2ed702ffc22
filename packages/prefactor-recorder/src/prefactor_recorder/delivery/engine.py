"""The loop of the delivery thread: reads the journal, sends what the planner plans, settles.

Everything that decides is elsewhere and pure; this moves entries between the journal, the planner
and the sender, and sleeps until there is something to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import TYPE_CHECKING, Any, Protocol

from .pace import Allowance, Pace
from .polls import Polls
from .sender import Lost, Sender
from .verdicts import Failure, Fate, Verdict, Whole, judge_failure, judge_item

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from prefactor_recorder.journal import Journal

    from .lanes import Batch
    from .planner import Planner, Settlement
    from .settings import DeliverySettings, Listener
    from .stats import DeliveryStats
    from .tickets import Ticket

logger = logging.getLogger("prefactor_recorder")

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
    abandoned: bool
    """Whether nobody waits for this loop any more: it must leave the journal alone."""
    tickets: list[Ticket]
    """Flushes that have not been finished."""


class Engine:
    """One life of the loop. It ends when it is told to, or by an exception, which is a bug."""

    def __init__(
        self,
        *,
        host: Host,
        journal: Journal,
        settings: DeliverySettings,
        listener: Listener,
        planner: Planner,
        stats: DeliveryStats,
        random: Callable[[], float],
    ) -> None:
        """Prepare; `run` begins."""
        self._host = host
        self._journal = journal
        self._settings = settings
        self._listener = listener
        self._planner = planner
        self._stats = stats
        self._random = random
        self._pace = Pace(
            interval=settings.interval,
            probe_interval=settings.probe_interval,
            in_flight=settings.requests_in_flight,
        )
        self._allowance = Allowance(settings.batch_items, settings.batch_bytes)
        self._polls = Polls(settings.poll_interval)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._crash: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._upkeep_at = -math.inf
        self._account_known = False

    # --- From other threads ---------------------------------------------------------------------

    def wake(self) -> None:
        """Have the loop look again; from any thread."""
        loop = self._loop
        if loop is not None:
            # Closed meanwhile? Then whoever starts it again looks by itself.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._wake.set)

    # --- The loop -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until told to stop."""
        self._loop = asyncio.get_running_loop()
        sender = Sender(self._settings, self._stats)
        try:
            if self._journal.adopt():
                self._pace.recover()
            while not self._host.stopping:
                self._wake.clear()
                await self._turn(sender)
            self._raise_crash()
        finally:
            self._loop = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await sender.close()

    async def _turn(self, sender: Sender) -> None:
        self._raise_crash()
        self._accept_tickets()
        await self._read()
        self._launch(sender)
        self._upkeep()
        self._poll(sender)
        self._finish_tickets()
        await self._sleep()

    def _raise_crash(self) -> None:
        if self._crash is not None:
            raise self._crash

    async def _read(self) -> None:
        """Read until a request can be filled, in slices."""
        while self._planner.room > 0 and not self._is_full() and self._journal.unread:
            entries = self._journal.read(min(SLICE, self._planner.room))
            if not entries:
                return
            self._settle(self._planner.add(entries))
            await asyncio.sleep(0)

    def _is_full(self) -> bool:
        """Whether a whole request's worth of items waits."""
        planner, allowance = self._planner, self._allowance
        return planner.ready_items >= allowance.items or planner.ready_bytes >= allowance.bytes

    def _launch(self, sender: Sender) -> None:
        now = self._now()
        self._planner.release(now)
        while self._may_send_at() <= now:
            batch = self._planner.next_batch(now, self._allowance.items, self._allowance.bytes)
            if batch is None:
                return
            self._pace.sent(now)
            self._in_flight += 1
            self._start(self._deliver(sender, batch))

    def _may_send_at(self) -> float:
        return self._pace.next_at(
            full=self._is_full(), hurried=bool(self._host.tickets), in_flight=self._in_flight
        )

    def _upkeep(self) -> None:
        now = self._now()
        if now >= self._upkeep_at:
            self._journal.maintain()
            busy = self._planner.held_bytes > 0 or self._journal.unread > 0
            self._upkeep_at = now + (UPKEEP if busy else self._settings.adopt_interval)

    async def _sleep(self) -> None:
        """Sleep until something is due, or until somebody wakes the loop."""
        self._upkeep_at = min(self._upkeep_at, self._upkeep_due())
        due = min(self._upkeep_at, self._polls.next_at, self._planner.next_release)
        if self._planner.ready_items:
            due = min(due, self._may_send_at())
        elif self._planner.room > 0:
            # In this order: whoever appends after the look at the journal sees the flag.
            self._host.idle = True
            if self._journal.unread or self._host.stopping:
                self._host.idle = False
                await asyncio.sleep(0)
                return
        now = self._now()
        if due > now:
            timer = None if due == math.inf else self._loop_of().call_at(due, self._wake.set)
            await self._wake.wait()
            if timer is not None:
                timer.cancel()
        else:
            await asyncio.sleep(0)
        self._host.idle = False

    def _upkeep_due(self) -> float:
        """Soon after something was done, later when nothing is."""
        busy = self._planner.held_bytes > 0
        return self._now() + UPKEEP if busy else math.inf

    # --- One request ----------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop_of().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._crash = task.exception()
        self._wake.set()

    async def _deliver(self, sender: Sender, batch: Batch) -> None:
        started = self._now()
        try:
            outputs = await sender.bulk(batch.encode())
        except Lost as lost:
            self._in_flight -= 1
            self._lost(batch, lost.failure, started)
        else:
            self._in_flight -= 1
            self._answered(sender, batch, outputs, started)

    def _answered(
        self, sender: Sender, batch: Batch, outputs: dict[str, Any], started: float
    ) -> None:
        verdicts = [judge_item(item, outputs.get(key)) for key, item in batch.items.items()]
        if all(verdict.fate is Fate.ABSENT for verdict in verdicts):
            failure = Failure("an answer that holds none of the items that were sent", status=200)
            self._lost(batch, failure, started)
            return
        now = self._now()
        paused = next((v for v in verdicts if v.fate is Fate.PAUSE), None)
        settlement = self._planner.settle(batch, verdicts, now)
        if paused is not None:
            self._paused(f"the API rejects the token ({paused.message})")
        else:
            self._went_well()
        for lane in batch.lanes:
            self._polls.heard(lane.run_id, now)
        self._note(batch, verdicts, outputs)
        self._settle(settlement)
        for run_id, refusal in settlement.asks:
            self._start(self._ask(sender, run_id, refusal))

    def _went_well(self) -> None:
        self._allowance.succeeded()
        if self._pace.succeeded(backlog=self._is_full() or self._journal.unread > SLICE):
            self._planner.forgive()
            logger.info("Delivery to %s works again", self._settings.api_url)
        self._stats.paused = None

    def _lost(self, batch: Batch, failure: Failure, started: float) -> None:
        """A request failed as a whole."""
        self._stats.last_error = failure.message
        now, items = self._now(), len(batch.items)
        whole = judge_failure(failure)
        if whole is Whole.PAUSE:
            self._planner.returned(batch, sent=False)
            self._paused(f"the API answers {failure.message}")
        elif whole is Whole.RETRY:
            self._failed(batch, failure, now, started)
        elif items == 1:
            self._allowance.singled_out()
            self._settle(self._planner.settle(batch, [Verdict(Fate.BURY, failure.refusal)], now))
        else:
            if whole is Whole.TOO_LARGE:
                self._allowance.too_large(sum(item.size for item in batch.items.values()))
            else:
                self._allowance.refused(items)
            self._planner.returned(batch, sent=False)

    def _failed(self, batch: Batch, failure: Failure, now: float, started: float) -> None:
        self._stats.retries += 1
        news = self._pace.failed(
            now, started=started, asked=failure.retry_after, chance=self._random()
        )
        if news and self._pace.failures == 1:
            logger.warning(
                "Delivery to %s fails (%s); records are kept and sent later",
                self._settings.api_url,
                failure.message,
            )
        suspicious = failure.sent and failure.retry_after is None and self._pace.failures > 1
        if suspicious and len(batch.items) == 1:
            self._allowance.singled_out()
            verdict = Verdict(Fate.RETRY, failure.refusal)
            self._settle(self._planner.settle(batch, [verdict], now))
            return
        if suspicious and news:
            self._allowance.troubled(len(batch.items))
        self._planner.returned(batch, sent=failure.sent)

    def _paused(self, reason: str) -> None:
        self._stats.paused = self._stats.last_error = reason
        if self._pace.pause(self._now(), reason, chance=self._random()):
            logger.warning(
                "Delivery to %s is paused: %s. Check the address and the token "
                "(PREFACTOR_API_URL, PREFACTOR_API_TOKEN). Records are kept, and tried again "
                "every %.0f s",
                self._settings.api_url,
                reason,
                self._settings.probe_interval,
            )

    async def _ask(self, sender: Sender, run_id: str, refusal: dict[str, Any]) -> None:
        """Ask for a run whose register was refused because its id is known."""
        try:
            there: bool | None = await sender.run(run_id) is not None
        except Lost:
            there = None
        self._settle(self._planner.answered(run_id, refusal, self._now(), there=there))

    def _note(self, batch: Batch, verdicts: list[Verdict], outputs: dict[str, Any]) -> None:
        """Pass on what outputs say beside success and failure."""
        for (key, item), verdict in zip(batch.items.items(), verdicts, strict=True):
            if verdict.fate is not Fate.DELIVERED:
                if verdict.refusal is not None and verdict.fate is not Fate.STANDS:
                    self._stats.last_error = verdict.message
                continue
            output = outputs[key]
            if "control" in output:
                self._obey(item.entry.record.run_id, output["control"])
            if not self._account_known:
                self._learn_account(output.get("details"))

    def _obey(self, run_id: str, control: Any) -> None:
        match control:
            case {"terminate": True, "reason": str(reason)}:
                self._listener.terminated(run_id, reason)
            case {"terminate": True}:
                self._listener.terminated(run_id, None)
            case _:
                pass

    def _learn_account(self, details: Any) -> None:
        match details:
            case {"account_id": str(account)}:
                self._account_known = True
                self._journal.learn_account(account)
            case _:
                pass

    def _settle(self, settlement: Settlement) -> None:
        """Tell the journal."""
        if self._host.abandoned:
            return
        if settlement.delivered:
            self._journal.settle(settlement.delivered)
            self._stats.delivered += len(settlement.delivered)
        for entry, refusal in settlement.buried:
            self._journal.bury(entry, refusal)
            self._stats.buried += 1

    # --- Flushes and polls ----------------------------------------------------------------------

    def _accept_tickets(self) -> None:
        fresh = [ticket for ticket in self._host.tickets if ticket.until is None]
        if fresh:
            self._journal.adopt()
            self._pace.hurry()
        for ticket in fresh:
            ticket.until = self._planner.added + self._journal.unread

    def _finish_tickets(self) -> None:
        for ticket in list(self._host.tickets):
            until = ticket.until
            if until is None:
                continue
            oldest = self._planner.oldest
            done = self._planner.added >= until and (oldest is None or oldest > until)
            if done or (self._host.closing and self._pace.troubled and not self._in_flight):
                self._host.tickets.remove(ticket)
                ticket.finish()

    def _poll(self, sender: Sender) -> None:
        now = self._now()
        if now < self._polls.next_at or self._pace.troubled:
            return
        run_id = self._polls.due(self._listener.open_runs(), now)
        if run_id is not None:
            self._start(self._look_after(sender, run_id))

    async def _look_after(self, sender: Sender, run_id: str) -> None:
        """See whether a run that has been quiet was terminated."""
        try:
            run = await sender.run(run_id)
        except Lost as lost:
            self._stats.last_error = lost.failure.message
            return
        if run is not None and run.get("status") == "terminated":
            self._listener.terminated(run_id, run.get("termination_reason"))

    def _loop_of(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
