"""Keeps delivery threads out of native code while the interpreter exits.

A thread inside OpenSSL while the exit handlers of the C library clean it up crashes the host with
SIGSEGV, and one that the interpreter ends inside Rust or C++ aborts it. A daemon thread may be
there at any time: importing the HTTP client alone loads the system's certificates, which takes
some tens of milliseconds.

So a delivery thread holds a lock except while it waits in a system call, and the exit takes that
lock for good. A thread that waits can be ended safely.
"""

from __future__ import annotations

import atexit
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


class _Thread:
    """What the exit has to know of a delivery thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process = os.getpid()
        self.is_stopped = False


_threads: set[_Thread] = set()
_current = threading.local()
_never_released = threading.Lock()
_never_released.acquire()
_is_exiting = False


@contextlib.contextmanager
def running() -> Generator[None]:
    """Hold the lock of this thread, which the exit stops where it waits next.

    Raises:
        SystemExit: The interpreter exits, so the thread must not begin.
    """
    thread = _Thread()
    with thread.lock:
        _threads.add(thread)
        _current.thread = thread
        try:
            # After the thread is listed, so that an exit either finds it or is noticed here.
            if _is_exiting:
                raise SystemExit
            yield
        finally:
            del _current.thread
            _threads.discard(thread)


@contextlib.contextmanager
def waiting() -> Generator[None]:
    """Let go of the lock of this thread during a system call that may wait.

    Does not return once the interpreter exits. Does nothing in other threads.
    """
    thread: _Thread | None = getattr(_current, "thread", None)
    if thread is None:
        yield
        return
    thread.lock.release()
    try:
        yield
    finally:
        if thread.is_stopped:
            _never_released.acquire()
        thread.lock.acquire()


def stop_here() -> None:
    """Stop this thread if the interpreter exits. For work that takes long without waiting."""
    with waiting():
        pass


class Selector(selectors.DefaultSelector):
    """The selector of a delivery thread's event loop: `select` waits without the lock."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the events that are ready, as the base class does."""
        with waiting():
            return super().select(timeout)


def is_exiting() -> bool:
    """Return whether the interpreter exits, so that no thread can begin."""
    return _is_exiting


def stop_threads() -> None:
    """Stop all delivery threads of this process for good. An exit handler; may be repeated."""
    global _is_exiting  # noqa: PLW0603 - a fact about the process
    # A host may call its exit handlers early and go on.
    _is_exiting = not threading.main_thread().is_alive()
    # A fork copies the locks, but no thread that would release them.
    mine = [thread for thread in list(_threads) if thread.process == os.getpid()]
    threads = [thread for thread in mine if not thread.is_stopped]
    for thread in threads:
        thread.is_stopped = True
    deadline = time.monotonic() + MAX_EXIT_WAIT
    for thread in threads:
        thread.lock.acquire(timeout=max(deadline - time.monotonic(), 0))


# Handlers that are registered later run earlier, and may still deliver.
atexit.register(stop_threads)
