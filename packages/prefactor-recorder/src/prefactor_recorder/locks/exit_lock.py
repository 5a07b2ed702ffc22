"""Keeps delivery threads out of native code while the interpreter exits.

A thread inside OpenSSL while the exit handlers of the C library clean it up crashes the host with
SIGSEGV, and one that the interpreter ends inside Rust or C++ aborts it. A daemon thread may be
there at any time: importing the HTTP client alone loads the system's certificates, which takes
some tens of milliseconds.

So a delivery thread holds a lock except while it waits in a system call, and the exit takes that
lock for good. A thread that waits can be ended safely.

Nothing of `threading` or `selectors` is kept from the import of this module: gevent replaces both,
in some programs only later, and a greenlet that waits for the original hangs the program.
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


_threads: dict[int, _Thread] = {}
"""The delivery threads by their identifiers."""
_is_exiting = False


@contextlib.contextmanager
def running() -> Generator[None]:
    """Hold the lock of this thread, which the exit stops where it waits next.

    Raises:
        SystemExit: The interpreter exits, so the thread must not begin.
    """
    thread, ident = _Thread(), threading.get_ident()
    with thread.lock:
        _threads[ident] = thread
        try:
            # After the thread is listed, so that an exit either finds it or is noticed here.
            if _is_exiting:
                raise SystemExit
            yield
        finally:
            _threads.pop(ident, None)


@contextlib.contextmanager
def waiting() -> Generator[None]:
    """Let go of the lock of this thread during a system call that may wait.

    Does not return once the interpreter exits. Does nothing in other threads.
    """
    thread = _threads.get(threading.get_ident())
    if thread is None or thread.process != os.getpid():  # a child may use its identifier again
        yield
        return
    thread.lock.release()
    try:
        yield
    finally:
        if thread.is_stopped:
            threading.Event().wait()
        thread.lock.acquire()


def stop_here() -> None:
    """Stop this thread if the interpreter exits. For work that takes long without waiting."""
    with waiting():
        pass


def new_selector() -> selectors.BaseSelector:
    """Return a selector for a delivery thread's event loop: `select` waits without the lock."""

    class Selector(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            with waiting():
                return super().select(timeout)

    return Selector()


def is_exiting() -> bool:
    """Return whether the interpreter exits, so that no thread can begin."""
    return _is_exiting


def stop_threads() -> None:
    """Stop all delivery threads of this process for good. An exit handler; may be repeated."""
    global _is_exiting  # noqa: PLW0603 - a fact about the process
    # A host may call its exit handlers early and go on.
    _is_exiting = not threading.main_thread().is_alive()
    # A fork copies the locks, but no thread that would release them.
    mine = [thread for thread in list(_threads.values()) if thread.process == os.getpid()]
    threads = [thread for thread in mine if not thread.is_stopped]
    for thread in threads:
        thread.is_stopped = True
    deadline = time.monotonic() + MAX_EXIT_WAIT
    for thread in threads:
        thread.lock.acquire(timeout=max(deadline - time.monotonic(), 0))


# Handlers that are registered later run earlier, and may still deliver.
atexit.register(stop_threads)
