"""A deterministic clock for tests."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from prefactor_recorder.encoding.clock import Clock, unix_ns

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The default start time."""
TICK = timedelta(milliseconds=1)
"""The default time between two reads, so that later events have later times."""


class FixedClock(Clock):
    """A clock that moves by a tick at each read, and by `advance`.

    Args:
        start: The initial time.
        tick: The time between two reads; zero stops the clock.
    """

    __slots__ = ("_lock", "_now", "_start", "_tick")

    def __init__(self, start: datetime = START, tick: timedelta = TICK) -> None:
        super().__init__(wall=self._wall, elapsed=self._elapsed)
        self._start = unix_ns(start)
        self._tick = _nanoseconds(tick)
        self._now = 0
        self._lock = threading.RLock()

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self._lock:
            self._now += round(seconds * 1_000_000_000)

    def _wall(self) -> int:
        return self._start + self._now

    def _elapsed(self) -> int:
        with self._lock:
            now = self._now
            self._now += self._tick
            return now


def _nanoseconds(duration: timedelta) -> int:
    return round(duration / timedelta(microseconds=1)) * 1000
