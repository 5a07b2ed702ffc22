"""Time in tests: the same whenever they run."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from prefactor_recorder.encoding.clock import Clock, unix_ns

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When time begins in tests."""
TICK = timedelta(milliseconds=1)
"""How much time passes whenever somebody looks, so that what comes later is later."""


class FixedClock(Clock):
    """A clock that moves by a tick for each look at it, and by `advance`.

    Args:
        start: The time at the beginning.
        tick: What passes between two looks; zero stops the clock.
    """

    __slots__ = ("_lock", "_now", "_start", "_tick")

    def __init__(self, start: datetime = START, tick: timedelta = TICK) -> None:
        super().__init__(wall=self._wall, elapsed=self._elapsed)
        self._start = unix_ns(start)
        self._tick = _nanoseconds(tick)
        self._now = 0
        self._lock = threading.RLock()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
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
