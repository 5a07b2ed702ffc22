"""Keeps delivery threads out of native code while the interpreter exits.

A thread inside OpenSSL while the exit handlers of the C library clean it up crashes the host with
SIGSEGV, and one that the interpreter ends inside Rust or C++ aborts it. A daemon thread may be
there at any time: importing the HTTP client alone loads the system's certificates, which takes
some tens of milliseconds.

So a delivery thread holds a lock except while it waits in a system call, and the exit takes that
lock for good. A thread that waits can be ended safely.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

MAX_EXIT_WAIT = 5.0
"""Maximum seconds that an exit waits for the threads to stop. Only a stuck one takes that long."""

_threads: dict[threading.Lock, int] = {}
"""The locks of all delivery threads, and the processes that these belong to."""
_current = threading.local()
_is_exiting = False


@contextlib.contextmanager
def running() -> Generator[None]:
    """Hold the lock of this thread, which the exit stops where it waits next.

    Raises:
        SystemExit: The interpreter exits, so the thread must not begin.
    """
    lock = threading.Lock()
    with lock:
        _threads[lock] = os.getpid()
        _current.lock = lock
        try:
            # After the lock is listed, so that an exit either finds it or is noticed here.
            if _is_exiting:
                raise SystemExit
            yield
        finally:
            del _current.lock, _threads[lock]


@contextlib.contextmanager
def waiting() -> Generator[None]:
    """Let go of the lock of this thread during a system call that may wait.

    Does not return once the interpreter exits. Does nothing in other threads.
    """
    lock: threading.Lock | None = getattr(_current, "lock", None)
    if lock is None:
        yield
        return
    lock.release()
    try:
        yield
    finally:
        lock.acquire()


class Selector(selectors.DefaultSelector):
    """The selector of a delivery thread's event loop: `select` waits without the lock."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the events that are ready, as the base class does."""
        with waiting():
            return super().select(timeout)


def stop_threads() -> None:
    """Stop all delivery threads of this process for good. Called while the interpreter exits."""
    global _is_exiting  # noqa: PLW0603 - a fact about the process
    _is_exiting = True
    deadline = time.monotonic() + MAX_EXIT_WAIT
    for lock, process in list(_threads.items()):
        if process == os.getpid():  # a fork copies the locks, but no thread that would release them
            lock.acquire(timeout=max(deadline - time.monotonic(), 0))
