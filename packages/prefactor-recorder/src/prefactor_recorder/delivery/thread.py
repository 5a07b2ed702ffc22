"""Delivery: one daemon thread with its own event loop, started by the first record.

A daemon, so that nothing it waits for (a server that never answers, a name that is never found)
can hold the exit of the program. What it had not delivered stays in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING

from prefactor_recorder.client_check import require_client
from prefactor_recorder.delivery.flush_request import Ticket
from prefactor_recorder.delivery.log import Notices
from prefactor_recorder.delivery.parts import Parts
from prefactor_recorder.delivery.planner import Planner
from prefactor_recorder.delivery.stats import DeliveryStats
from prefactor_recorder.delivery.throttle import LONGEST, backoff
from prefactor_recorder.fork import loading
from prefactor_recorder.guard import tell

if TYPE_CHECKING:
    from prefactor_recorder.delivery.loop import Engine
    from prefactor_recorder.delivery.settings import DeliverySettings, Listener
    from prefactor_recorder.journal.base import Journal

GRACE = 0.05
"""Seconds that the thread gets to end by itself once it has been told to."""

_chance = random.Random().random  # noqa: S311 - it spreads waits, it protects nothing
_inherited: list[object] = []
"""What a forked child must not clean up: its sockets and its epoll are still the parent's."""


class Delivery:
    """Takes records from the journal to the server, in a thread of its own.

    Args:
        journal: Where the records are.
        settings: Where they go.
        listener: Hears of terminated runs, in the delivery thread.
    """

    def __init__(self, journal: Journal, settings: DeliverySettings, listener: Listener) -> None:
        """Start nothing."""
        self.idle = True
        """Whether the next record has to call `wake()`; a plain attribute for the hot path."""
        self.closing = False
        """Whether `close` was called: what fails now is left for the next process."""
        self.stopping = False
        """Whether the thread has to end, whatever is under way."""
        self.abandoned = False
        """Whether `close` has given up on the thread."""
        self.stats = DeliveryStats()
        """What was done so far."""
        self.tickets: list[Ticket] = []
        """Flushes that the thread has not finished."""
        self._journal = journal
        self._settings = settings
        self._listener = listener
        self._planner = self._new_planner()
        self._notices = Notices(settings.api_url)
        self._pid = os.getpid()
        # Re-entrant: a signal handler, or an object that is collected in here, may record.
        self._lock = threading.RLock()
        self._starting = False
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None
        self._stopped = threading.Event()

    def wake(self) -> None:
        """There is something to deliver: start the thread, or wake it. Never raises."""
        if os.getpid() != self._pid:
            self.after_fork()  # there are forks that call no hooks
        self.idle = False
        if not self._ensure_thread():
            self.idle = True
            return
        engine = self._engine
        if engine is not None:
            engine.wake()

    def flush(self, timeout: float | None = None) -> int:
        """Deliver everything that was recorded so far, and what dead processes left.

        It is tried at once even while delivery is paused or waits after a failure; only a wait
        that the server itself asked for is kept.

        Args:
            timeout: Seconds to wait at most; None waits for as long as it takes. It does not wait
                while delivery pauses (for a token that is refused): somebody has to act first.

        Returns:
            How many records are undelivered.
        """
        if threading.current_thread() is self._thread:
            return self._journal.undelivered
        finished = threading.Event()
        ticket = Ticket(finished.set)
        if self._hand_in(ticket):
            finished.wait(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        self._take_back(ticket)
        return self._journal.undelivered

    async def aflush(self, timeout: float | None = None) -> int:
        """`flush`, without blocking the event loop that awaits it."""
        loop = asyncio.get_running_loop()
        finished = asyncio.Event()

        def finish() -> None:
            with contextlib.suppress(RuntimeError):  # the loop that waited is gone
                loop.call_soon_threadsafe(finished.set)

        ticket = Ticket(finish)
        try:
            if self._hand_in(ticket):
                async with asyncio.timeout(timeout):
                    await finished.wait()
        except TimeoutError:
            pass  # the count says what is left
        finally:
            self._take_back(ticket)
        return self._journal.undelivered

    def hurry(self) -> None:
        """Have everything delivered now, without waiting for it: this is the end."""
        self.closing = True
        if self._journal.undelivered:
            self._hand_in(Ticket(_nobody_waits))

    def close(self, timeout: float | None = None) -> int:
        """Deliver what can be delivered in time, and end the thread.

        Bounded whatever the server does: a thread that does not end is left behind. The journal is
        not touched afterwards.

        Args:
            timeout: Seconds to wait at most; None for the `exit_timeout` of the settings.

        Returns:
            How many records are undelivered.
        """
        seconds = self._settings.exit_timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        self.closing = True
        if self._journal.undelivered:
            # The thread's own ending is part of the time, not on top of it.
            self.flush(max(seconds - GRACE, 0))
        self.stopping = True
        self._stopped.set()
        thread, engine = self._thread, self._engine
        if thread is not None and thread is not threading.current_thread():
            if engine is not None:
                engine.wake()
            left = max(deadline - time.monotonic(), GRACE)
            thread.join(min(left, threading.TIMEOUT_MAX))
            self.abandoned = thread.is_alive()
        self._let_go()
        return self._journal.undelivered

    def after_fork(self) -> None:
        """In a forked child: forget the thread, which is the parent's, and what it had planned."""
        _inherited.append((self._thread, self._engine, self._planner))
        self._pid = os.getpid()
        # Re-entrant: a signal handler, or an object that is collected in here, may record.
        self._lock = threading.RLock()
        self._starting = False
        self._stopped = threading.Event()
        self._thread = self._engine = None
        self._planner = self._new_planner()
        self.stats = DeliveryStats()
        self.tickets = []
        self.closing = self.stopping = self.abandoned = False
        self.idle = True

    # --- The thread -----------------------------------------------------------------------------

    def _new_planner(self) -> Planner:
        return Planner(self._settings.window, _chance)

    def _hand_in(self, ticket: Ticket) -> bool:
        """Have the thread finish a ticket; whether there is a thread that can."""
        self.tickets.append(ticket)
        self.wake()
        return self._ensure_thread() and not self._stopped.is_set()

    def _take_back(self, ticket: Ticket) -> None:
        """Nobody waits for a ticket any more: what is left is in no hurry."""
        with contextlib.suppress(ValueError):  # it was finished
            self.tickets.remove(ticket)

    def _ensure_thread(self) -> bool:
        """Whether there is a thread now."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            return True
        with self._lock:
            if self._stopped.is_set():
                return False
            if self._starting or (self._thread is not None and self._thread.is_alive()):
                return True
            if self._thread is not None:
                self.stats.worker_restarts += 1
                tell(logging.WARNING, "The delivery thread was gone; it is started again")
            self._starting = True
            try:
                thread = threading.Thread(target=self._main, name="prefactor-recorder", daemon=True)
                thread.start()
                self._thread = thread
            except RuntimeError:
                # The interpreter is on its way out, or the system has no thread left.
                return False
            finally:
                self._starting = False
            return True

    def _main(self) -> None:
        """Run the loop, and run it again if it ever fails."""
        failures = 0
        try:
            while not self._stopped.is_set():
                began = time.monotonic()
                try:
                    self._run()
                except BaseException as error:  # noqa: BLE001 - this thread has no other purpose
                    failures = failures + 1 if time.monotonic() < began + LONGEST else 1
                    self.stats.worker_restarts += 1
                    tell(
                        logging.ERROR,
                        "Delivery failed unexpectedly; it is started again",
                        error=error,
                    )
                    self._stopped.wait(backoff(failures, _chance()))
        finally:
            self._engine = None
            self.idle = True
            self._let_go()

    def _let_go(self) -> None:
        """Whoever waits for the thread waits no longer."""
        while self.tickets:
            self.tickets.pop().finish()

    def _run(self) -> None:
        """One life of the loop, with everything that the last one had not finished."""
        planner = self._new_planner()
        planner.add(self._planner.held)
        self._planner = planner
        for ticket in self.tickets:
            ticket.until = None
        engine = self._engine = load_engine()(
            self,
            Parts(
                journal=self._journal,
                settings=self._settings,
                listener=self._listener,
                planner=planner,
                stats=self.stats,
                notices=self._notices,
                random=_chance,
                is_abandoned=lambda: self.abandoned,
            ),
        )
        # Not the policy's loop: the host may have chosen one that this thread knows nothing about.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(engine.run())


def _nobody_waits() -> None:
    """Said by a ticket that was handed in for the sake of its records alone."""


def load_engine() -> type[Engine]:
    """Import the HTTP client and return the engine, holding off forks meanwhile.

    The import takes a few tenths of a second after the first record, which is just when a
    program that preloads its workers forks.
    """
    with loading:
        require_client()
        # Codecs are loaded by the first look at a host name otherwise, unprotected.
        import_module("encodings.idna")

        from prefactor_recorder.delivery.loop import Engine  # noqa: PLC0415 - it loads the HTTP client

    return Engine
