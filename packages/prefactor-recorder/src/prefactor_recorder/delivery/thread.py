"""Delivery: a daemon thread with its own event loop, started by the first record.

It is a daemon so that nothing it waits for (a server that never responds, a slow name lookup) can
delay the program's exit. The exit stops it where it waits (`exit_lock`). Undelivered records stay
in the journal.
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

from prefactor_recorder.delivery.client_check import require_client
from prefactor_recorder.delivery.flush_request import FlushRequest
from prefactor_recorder.delivery.log import DeliveryLog
from prefactor_recorder.delivery.parts import DeliveryContext
from prefactor_recorder.delivery.planner import Planner
from prefactor_recorder.delivery.stats import DeliveryStats
from prefactor_recorder.delivery.throttle import MAX_BACKOFF, backoff
from prefactor_recorder.guard import log_safely
from prefactor_recorder.locks import exit_lock
from prefactor_recorder.locks.import_lock import client_imports

if TYPE_CHECKING:
    from prefactor_recorder.delivery.loop import Engine
    from prefactor_recorder.delivery.settings import DeliverySettings, Listener
    from prefactor_recorder.journal.base import Journal

JOIN_TIMEOUT = 0.05
"""Minimum seconds to wait for the thread to end after it was told to."""

_random = random.Random().random  # noqa: S311 - adds jitter to waits; not for security
_parents_objects: list[object] = []
"""Objects that a forked child must not clean up, because their sockets belong to the parent."""


class Delivery:
    """Delivers records from the journal to the server in a background thread.

    Args:
        journal: The records.
        settings: The server, and how to send to it.
        listener: Notified of terminated runs, in the delivery thread.
    """

    def __init__(self, journal: Journal, settings: DeliverySettings, listener: Listener) -> None:
        """Create a delivery; the thread starts with the first record."""
        self.idle = True
        """Whether the next record must call `wake()`; a plain attribute for the hot path."""
        self.closing = False
        """Whether `close` was called, after which failed requests are left to the next process."""
        self.stopping = False
        """Whether the thread must end, even with requests in flight."""
        self.abandoned = False
        """Whether `close` gave up on the thread."""
        self.stats = DeliveryStats()
        """Statistics."""
        self.flush_requests: list[FlushRequest] = []
        """Pending flushes."""
        self._journal = journal
        self._settings = settings
        self._listener = listener
        self._planner = self._new_planner()
        self._log = DeliveryLog(settings.api_url)
        self._pid = os.getpid()
        # Re-entrant, because a signal handler or a finaliser may record while it is held.
        self._lock = threading.RLock()
        self._starting = False
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None
        self._stopped = threading.Event()

    def wake(self) -> None:
        """Start or wake the thread, because there is something to deliver. Never raises."""
        if os.getpid() != self._pid:
            self.after_fork()  # some forks call no hooks
        self.idle = False
        is_running = False
        try:
            is_running = self._ensure_thread()
        finally:
            if not is_running:  # also after an exception of a signal handler
                self.idle = True
        engine = self._engine
        if engine is not None:
            engine.wake()

    def flush(self, timeout: float | None = None) -> int:
        """Deliver everything recorded so far, and everything that dead processes left.

        Tries at once even if delivery is paused or backing off. It respects only a wait that the
        server asked for.

        Args:
            timeout: Maximum seconds to wait; None for no limit. Does not wait while delivery is
                paused (as for a rejected token), because somebody has to act first.

        Returns:
            The number of undelivered records.
        """
        if threading.current_thread() is self._thread:
            return self._journal.undelivered
        finished = threading.Event()
        request = FlushRequest(finished.set)
        if self._submit(request):
            finished.wait(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        self._withdraw(request)
        return self._journal.undelivered

    async def aflush(self, timeout: float | None = None) -> int:
        """Like `flush`, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        finished = asyncio.Event()

        def finish() -> None:
            with contextlib.suppress(RuntimeError):  # the waiting loop is closed
                loop.call_soon_threadsafe(finished.set)

        request = FlushRequest(finish)
        try:
            if self._submit(request):
                async with asyncio.timeout(timeout):
                    await finished.wait()
        except TimeoutError:
            pass  # the return value says what is left
        finally:
            self._withdraw(request)
        return self._journal.undelivered

    def flush_now(self) -> None:
        """Start delivering everything without waiting, because the program is exiting."""
        self.closing = True
        if self._journal.undelivered:
            self._submit(FlushRequest(_ignore))

    def close(self, timeout: float | None = None) -> int:
        """Deliver what can be delivered in time and end the thread.

        Returns in time whatever the server does; a thread that does not end is abandoned. The
        journal is not touched afterwards.

        Args:
            timeout: Maximum seconds to wait; None for the settings' `exit_timeout`.

        Returns:
            The number of undelivered records.
        """
        seconds = self._settings.exit_timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        self.closing = True
        if self._journal.undelivered:
            # Reserve time for joining the thread.
            self.flush(max(seconds - JOIN_TIMEOUT, 0))
        self.stopping = True
        self._stopped.set()
        thread, engine = self._thread, self._engine
        if thread is not None and thread is not threading.current_thread():
            if engine is not None:
                engine.wake()
            left = max(deadline - time.monotonic(), JOIN_TIMEOUT)
            thread.join(min(left, threading.TIMEOUT_MAX))
            self.abandoned = thread.is_alive()
        self._finish_flushes()
        return self._journal.undelivered

    def after_fork(self) -> None:
        """In a forked child, forget the thread and its plans, which belong to the parent."""
        _parents_objects.append((self._thread, self._engine, self._planner))
        self._pid = os.getpid()
        # Re-entrant, because a signal handler or a finaliser may record while it is held.
        self._lock = threading.RLock()
        self._starting = False
        self._stopped = threading.Event()
        self._thread = self._engine = None
        self._planner = self._new_planner()
        self.stats = DeliveryStats()
        self.flush_requests = []
        self.closing = self.stopping = self.abandoned = False
        self.idle = True

    # --- The thread -----------------------------------------------------------------------------

    def _new_planner(self) -> Planner:
        return Planner(self._settings.window, _random)

    def _submit(self, request: FlushRequest) -> bool:
        """Submit a flush request. Return whether a thread is there to complete it."""
        self.flush_requests.append(request)
        self.wake()
        return self._ensure_thread() and not self._stopped.is_set()

    def _withdraw(self, request: FlushRequest) -> None:
        """Withdraw a flush request that nobody is waiting for."""
        with contextlib.suppress(ValueError):  # it is complete
            self.flush_requests.remove(request)

    def _ensure_thread(self) -> bool:
        """Start the thread if necessary. Return whether one is running."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            return True
        with self._lock:
            if self._stopped.is_set() or exit_lock.is_exiting():
                return False
            if self._starting or (self._thread is not None and self._thread.is_alive()):
                return True
            if self._thread is not None:
                self.stats.worker_restarts += 1
                log_safely(logging.WARNING, "The delivery thread was gone; restarting it")
            self._starting = True
            try:
                thread = threading.Thread(target=self._main, name="prefactor-recorder", daemon=True)
                thread.start()
                self._thread = thread
            except RuntimeError:
                # The interpreter is exiting, or the system is out of threads.
                return False
            finally:
                self._starting = False
            return True

    def _main(self) -> None:
        """Run the loop, and restart it whenever it fails."""
        with self._lock:  # held until the thread is known
            if self._thread is not threading.current_thread():
                return  # a signal handler interrupted its start, and the next record starts another
        try:
            with exit_lock.running():
                self._run_until_stopped()
        finally:
            self._engine = None
            self.idle = True
            self._finish_flushes()

    def _run_until_stopped(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._run()
            except BaseException as error:  # noqa: BLE001 - this thread has no other purpose
                failures = failures + 1 if time.monotonic() < began + MAX_BACKOFF else 1
                self.stats.worker_restarts += 1
                log_safely(
                    logging.ERROR,
                    "Delivery failed unexpectedly; restarting it",
                    error=error,
                )
                with exit_lock.waiting():
                    self._stopped.wait(backoff(failures, _random()))

    def _finish_flushes(self) -> None:
        """Complete all pending flushes, because the thread no longer works on them."""
        while self.flush_requests:
            self.flush_requests.pop().finish()

    def _run(self) -> None:
        """Run the loop once, starting with the entries that the last run had not settled."""
        planner = self._new_planner()
        planner.add(self._planner.held)
        self._planner = planner
        for request in self.flush_requests:
            request.until = None
        engine = self._engine = load_engine()(
            self,
            DeliveryContext(
                journal=self._journal,
                settings=self._settings,
                listener=self._listener,
                planner=planner,
                stats=self.stats,
                log=self._log,
                random=_random,
                is_abandoned=lambda: self.abandoned,
            ),
        )
        # Not the event loop policy's loop, which the host may have replaced.
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            runner.run(engine.run())


def _new_event_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(exit_lock.new_selector())


def _ignore() -> None:
    """Do nothing; the callback of a flush that nobody waits for."""


def load_engine() -> type[Engine]:
    """Import the HTTP client and return the engine. Holds off forks during the import.

    The import takes a few tenths of a second after the first record, which is just when a
    program that preloads its workers forks. The exit does not wait for all of it.
    """
    with client_imports:
        require_client()
    for name in _CLIENT_MODULES:
        with client_imports:
            import_module(name)
        exit_lock.stop_here()

    from prefactor_recorder.delivery.loop import Engine  # noqa: PLC0415 - it loads the HTTP client

    return Engine


_CLIENT_MODULES = (
    # Otherwise the first host name would import this codec without holding off forks.
    "encodings.idna",
    "asyncio",
    "ssl",
    "pydantic",
    "aiohttp",
    "prefactor_http",
    "prefactor_recorder.delivery.loop",
)
"""What the last of them imports, in steps of at most one or two tenths of a second."""
