"""The runtime of one recorder in one process: journal, delivery, open runs, exit handler."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import sys
import time
import weakref
from typing import TYPE_CHECKING

from prefactor_recorder.corrections import corrections
from prefactor_recorder.delivery import Delivery, DeliverySettings
from prefactor_recorder.encoding import ids
from prefactor_recorder.encoding.clock import Clock
from prefactor_recorder.guard import failures, is_interrupt, log_safely
from prefactor_recorder.journal.memory import MemoryJournal
from prefactor_recorder.journal.spool import SpoolJournal
from prefactor_recorder.locks import exit_lock
from prefactor_recorder.sink import Sink
from prefactor_recorder.stats import Stats

if TYPE_CHECKING:
    from prefactor_recorder.run import Run
    from prefactor_recorder.settings import RecorderSettings


class Runtime:
    """What a recorder starts with its first run, and resets in a forked child.

    Args:
        settings: The recorder's settings.
        journal: Keeps the records.
    """

    def __init__(self, settings: RecorderSettings, journal: MemoryJournal | SpoolJournal) -> None:
        self.journal = journal
        self.runs: weakref.WeakValueDictionary[str, Run] = weakref.WeakValueDictionary()
        self.delivery = Delivery(
            journal,
            DeliverySettings(
                api_url=settings.api_url,
                api_token=settings.api_token,
                ssl=settings.ssl,
                proxy=settings.proxy,
            ),
            self,
        )
        self.sink = Sink(
            journal=journal,
            deliverer=self.delivery,
            clock=Clock(),
            ids=ids.IdGenerator(),
            limit=settings.max_payload_size,
            redact=settings.redact,
        )
        self._warned = False
        self._process = os.getpid()
        if hasattr(os, "register_at_fork"):
            # Weakly, because the interpreter never forgets a hook.
            os.register_at_fork(after_in_child=functools.partial(_in_child, weakref.ref(self)))

    def track(self, run: Run) -> Run:
        """Notify the run when it is terminated. Return it."""
        self.runs[run.id] = run
        return run

    def terminated(self, run_id: str, reason: str | None) -> None:
        """Mark a run that the server reports as terminated. Called by the delivery thread."""
        run = self.runs.get(run_id)
        if run is not None:
            run.mark_terminated(reason)

    def open_runs(self) -> list[str]:
        """Return the ids of the runs open in this process. Called by the delivery thread."""
        known = (reference() for reference in self.runs.valuerefs())
        return [run.id for run in known if run is not None and run.open]

    def check_process(self) -> None:
        """Detect a fork whose hooks never ran, as in a server written in C."""
        if self._process != os.getpid():
            self.after_fork()

    def after_fork(self) -> None:
        """Start empty in a forked child; the parent delivers what was recorded before."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        self.sink.ids = ids.IdGenerator()  # otherwise parent and child would generate the same ids
        self.journal.after_fork()
        self.delivery.after_fork()

    def close(self, timeout: float) -> int:
        """Deliver what can be delivered within `timeout` seconds, and release everything."""
        self.check_process()
        left = self.delivery.close(timeout)
        self.journal.close()
        _open_runtimes.pop(self, None)
        if left and not self._warned:
            self._warned = True
            lost = min(self.journal.in_memory, left)
            log_safely(
                logging.WARNING,
                "%d recorded operations are not delivered: %d wait in the spool for the next "
                "process that records, or for `prefactor-spool flush`; %d were in memory and end "
                "with this process",
                left,
                left - lost,
                lost,
            )
        return left

    @property
    def durability(self) -> str:
        """Where records are kept now: `disk` or `memory`."""
        on_disk = isinstance(self.journal, SpoolJournal) and not self.journal.is_degraded
        return "disk" if on_disk else "memory"

    def stats(self) -> Stats:
        """Return the current counters."""
        done = self.delivery.stats
        return Stats(
            undelivered=self.journal.undelivered,
            delivered=done.delivered,
            dead_lettered=done.dead_lettered,
            dropped=self.journal.dropped,
            corrected=corrections.count + done.corrected,
            failures=failures.count,
            requests=done.requests,
            retries=done.retries,
            bytes_sent=done.bytes_sent,
            worker_restarts=done.worker_restarts,
            durability=self.durability,
            paused=done.paused,
            last_error=done.last_error,
        )


def new_runtime(settings: RecorderSettings) -> Runtime:
    """Return the runtime for these settings, with a journal on disk or in memory."""
    if settings.durability == "memory":
        return Runtime(settings, MemoryJournal(settings.memory_limit))
    journal = SpoolJournal(
        settings.spool_dir,
        api_url=settings.api_url,
        api_token=settings.api_token,
        limit=settings.spool_limit,
        memory_limit=settings.memory_limit,
    )
    return Runtime(settings, journal)


def _in_child(runtime: weakref.ref[Runtime]) -> None:
    alive = runtime()
    if alive is not None:
        alive.after_fork()


# Keyed by runtime and not by recorder: a function may drop its recorder long before the program
# ends, and what it recorded still has to be delivered.
_open_runtimes: dict[Runtime, float] = {}


def close_at_exit(runtime: Runtime, timeout: float) -> None:
    """Close a runtime when the program ends, waiting at most `timeout` seconds."""
    if not _open_runtimes:
        # Re-register at each first runtime, because registering twice would close twice.
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open_runtimes[runtime] = timeout


def _close_all() -> None:
    """Close all runtimes. The timeouts overlap, so that hanging servers do not add up."""
    was_interrupted = _ends_by_interrupt()
    try:
        _close_in_time()
    except BaseException as error:  # noqa: BLE001 - the interpreter would print it and go on
        # A signal handler raises this, as for another Ctrl-C: somebody does not want to wait.
        if not is_interrupt(error):
            failures.note("close", error)
        for runtime in list(_open_runtimes):
            runtime.close(0)
    finally:
        exit_lock.stop_threads()
        if was_interrupted:
            _restore_interrupt()


def _close_in_time() -> None:
    began = time.monotonic()
    waiting = list(_open_runtimes.items())
    for runtime, _ in waiting:
        runtime.check_process()
        runtime.delivery.flush_now()
    for runtime, timeout in waiting:
        runtime.close(max(began + timeout - time.monotonic(), 0))


def _ends_by_interrupt() -> bool:
    """Return whether the program ends because nothing caught a `KeyboardInterrupt`."""
    error = getattr(sys, "last_value", None)
    trace = error.__traceback__ if type(error) is KeyboardInterrupt else None
    # Not one that was printed in an interactive session, which went on.
    return trace is not None and trace.tb_frame.f_back is None and not hasattr(sys, "ps1")


def _restore_interrupt() -> None:
    """Let the interpreter end by SIGINT, so that a shell sees that its script was interrupted.

    CPython notes this for the program, and forgets it when any thread calls `exec` with a text. So
    does the import of the client.
    """
    with contextlib.suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102 - notes it again
