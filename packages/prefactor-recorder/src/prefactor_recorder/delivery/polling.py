"""Chooses the open run to poll next, if the server does not support heartbeats.

A run that records learns of its termination from the responses to its writes. An idle run (waiting
for a person or for a queue) gets no responses. It learns of its termination from the response to a
heartbeat. A server without heartbeats is polled.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class PollSchedule:
    """Tracks when a response last covered each run. Pure: the time is an argument."""

    def __init__(self, interval: float) -> None:
        """Create a schedule without runs.

        Args:
            interval: Seconds a run may go without a response before it is polled.
        """
        self._interval = interval
        self._heard_at: dict[str, float] = {}
        self.next_at = math.inf
        """When the next run is due; infinity if there is none."""

    def record_response(self, run_id: str, now: float) -> None:
        """Restart the interval of a run, because a response covered it."""
        self._heard_at[run_id] = now
        self.next_at = min(self.next_at, now + self._interval)

    def postpone(self, now: float) -> None:
        """Postpone a poll that is due, because requests are failing."""
        self.next_at = max(self.next_at, now + self._interval)

    def due(self, runs: Collection[str], now: float) -> str | None:
        """Return the run to poll now and restart its interval. Return None if no run is due.

        Args:
            runs: Ids of the open runs.
            now: The current time.
        """
        self._heard_at = {run_id: self._heard_at.get(run_id, now) for run_id in runs}
        longest = min(self._heard_at, key=self._heard_at.__getitem__, default=None)
        found = None
        if longest is not None and self._heard_at[longest] + self._interval <= now:
            found = longest
            self._heard_at[longest] = now
        self.next_at = min(self._heard_at.values(), default=math.inf) + self._interval
        return found
