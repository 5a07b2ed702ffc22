"""A fork waits while this package loads modules: half a module is what a child could not mend.

A child that is forked while another thread imports a module inherits half of that module, and the
lock on it from a thread that it does not have: it can never import it, and waits forever.
"""

from __future__ import annotations

import contextlib
import os
import threading

MAX_FORK_WAIT = 10.0
"""Seconds that a fork waits at most: loading cannot take longer unless something is stuck."""


class ForkLock:
    """Held by the thread that loads, and by a thread that forks."""

    def __init__(self) -> None:
        # Re-entrant: a signal handler may record, and so load, in the middle of loading.
        self._lock = threading.RLock()
        self._watching = False
        self._held = False

    def __enter__(self) -> None:
        if not self._watching and hasattr(os, "register_at_fork"):
            self._watching = True
            os.register_at_fork(
                before=self._before, after_in_parent=self._after, after_in_child=self._anew
            )
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # a child of the thread that loads has another lock
            self._lock.release()

    def _before(self) -> None:
        self._held = self._lock.acquire(timeout=MAX_FORK_WAIT)

    def _after(self) -> None:
        if self._held:
            self._lock.release()

    def _anew(self) -> None:
        self._lock = threading.RLock()


runtime_imports = ForkLock()
"""Held by a call that loads what a recorder is made of, some thousandths of a second."""
client_imports = ForkLock()
"""Held by the delivery thread while it loads the client, which no call of the host waits for."""
