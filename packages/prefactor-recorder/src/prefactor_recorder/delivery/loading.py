"""Loading the HTTP client in the delivery thread, beside a host that may fork at any moment.

A child that is forked while another thread imports a module inherits half of that module and can
never import the rest. Loading the client takes a few tenths of a second after the first record,
just when a program that preloads may fork, so a fork waits for it.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import Engine

PATIENCE = 10.0
"""Seconds that a fork waits at most: loading cannot take longer unless something is stuck."""


class _Loading:
    """Held by the thread that loads, and by a thread that forks."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.watching = False
        self.held = False

    def watch(self) -> None:
        """Have forks wait from now on; once in a process."""
        if not self.watching and hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before, after_in_parent=self._after, after_in_child=self._anew
            )
        self.watching = True

    def _before(self) -> None:
        self.held = self.lock.acquire(timeout=PATIENCE)

    def _after(self) -> None:
        if self.held:
            self.lock.release()

    def _anew(self) -> None:
        self.lock = threading.Lock()


_loading = _Loading()


def load_engine() -> type[Engine]:
    """The engine, and with it everything that delivery needs."""
    _loading.watch()
    with _loading.lock:
        # Codecs are loaded by the first look at a host name otherwise, unprotected.
        import_module("encodings.idna")

        from .engine import Engine  # noqa: PLC0415 - it loads the HTTP client

    return Engine
