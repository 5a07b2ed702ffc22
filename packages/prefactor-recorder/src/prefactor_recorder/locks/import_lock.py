"""Holds off forks while this package imports modules.

A child forked while another thread imports a module inherits a half-initialised module and an
import lock that nobody releases. It would wait for that lock forever.
"""

from __future__ import annotations

import contextlib
import os
import threading

MAX_FORK_WAIT = 10.0
"""Maximum seconds that a fork waits. Imports take longer only if something is stuck."""


class ForkLock:
    """A lock held while importing, and taken by every fork."""

    def __init__(self) -> None:
        # Re-entrant, because a signal handler that records may import during an import.
        self._lock = threading.RLock()
        self._held = False
        # Not at the first import, because a fork that has just begun would not notice.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before, after_in_parent=self._after, after_in_child=self._reset
            )

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # in a child, the lock was replaced meanwhile
            self._lock.release()

    def _before(self) -> None:
        self._held = self._lock.acquire(timeout=MAX_FORK_WAIT)

    def _after(self) -> None:
        if self._held:
            self._lock.release()

    def _reset(self) -> None:
        self._lock = threading.RLock()


runtime_imports = ForkLock()
"""Held by the first call that records, for a few milliseconds."""
client_imports = ForkLock()
"""Held by the delivery thread while it imports the client. Calls of the host do not wait for it."""
