"""What the user should know, said by the delivery thread and never by the thread that records."""

from __future__ import annotations

import contextlib
import logging
from collections import deque

from prefactor_recorder.guard import tell


class Notes:
    """Warnings on their way to the log.

    A handler of the host's may be slow, or may record something itself; neither may happen inside
    a call that records.
    """

    def __init__(self) -> None:
        """Start with nothing to say."""
        self._waiting: deque[str] = deque(maxlen=100)

    def add(self, note: str) -> None:
        """Keep a warning until it can be said."""
        self._waiting.append(note)

    def say(self) -> None:
        """Log what is waiting."""
        with contextlib.suppress(IndexError):  # at the end, two threads may say the last ones
            while self._waiting:
                tell(logging.WARNING, "%s", self._waiting.popleft())
