"""Warnings collected by any thread and logged by the delivery thread."""

from __future__ import annotations

import contextlib
import logging
from collections import deque

from prefactor_recorder.guard import log_safely


class PendingWarnings:
    """Warnings waiting to be logged.

    One of the host's log handlers may be slow or may record something itself. Neither may happen
    inside a recording call.
    """

    def __init__(self) -> None:
        """Start without warnings."""
        self._waiting: deque[str] = deque(maxlen=100)

    def add(self, warning: str) -> None:
        """Add a warning."""
        self._waiting.append(warning)

    def log(self) -> None:
        """Log all waiting warnings."""
        with contextlib.suppress(IndexError):  # at exit, two threads may log the last ones
            while self._waiting:
                log_safely(logging.WARNING, "%s", self._waiting.popleft())
