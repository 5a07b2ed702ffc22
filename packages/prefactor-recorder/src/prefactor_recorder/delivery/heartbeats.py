"""Decides when to send heartbeats for the open runs.

A heartbeat tells the server that the runs of this process are still active. Its response contains
the control signals of terminated runs. Heartbeats are neither journaled nor retried.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MAX_IDS = 1000
"""Maximum runs in a heartbeat; the API accepts no more."""
FIRST_DELAY = 5.0
"""Seconds from the first response to the first heartbeat. Most short runs end before it."""
UNSUPPORTED_INTERVAL = 3600.0
"""Seconds until a server without heartbeats is tried again, because it may be upgraded."""


class HeartbeatSchedule:
    """Tracks when heartbeats were sent. Pure: the time is an argument."""

    def __init__(self, interval: float) -> None:
        """Create a schedule that waits for a first response.

        Args:
            interval: Minimum seconds between two heartbeats of a run.
        """
        self._interval = interval
        self._sent_at = -math.inf
        self.is_supported = True
        """Whether the server supports heartbeats; False once it has rejected one."""
        self.next_at = math.inf
        """When the next heartbeat is due; infinity if there are no open runs."""

    def record_response(self, now: float) -> None:
        """Start sending, because a response covered a run."""
        if self.next_at == math.inf:
            self.next_at = max(
                now + min(FIRST_DELAY, self._interval), self._sent_at + self._interval
            )

    def due(self, runs: Collection[str], now: float) -> Sequence[list[str]]:
        """Return the runs of each heartbeat to send now, and restart the interval.

        Args:
            runs: Ids of the open runs.
            now: The current time.
        """
        if now < self.next_at:
            return ()
        if not runs:
            self.next_at = math.inf
            return ()
        self._sent_at = now
        self.next_at = now + self._interval
        self.is_supported = True
        ids = list(runs)
        return [ids[place : place + MAX_IDS] for place in range(0, len(ids), MAX_IDS)]

    def postpone(self, now: float) -> None:
        """Postpone a heartbeat that is due, because requests are failing."""
        self.next_at = max(self.next_at, now + min(FIRST_DELAY, self._interval))

    def refused(self, now: float) -> None:
        """Pause heartbeats, because the server does not support them."""
        self.is_supported = False
        self.next_at = now + UNSUPPORTED_INTERVAL
