"""Which run to ask the server about next: one that is open here and has had no word for a while.

A run that records learns of its termination from the answers. One that waits (for a person, for a
queue) would never: it is asked for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class Polls:
    """Remembers when each run was heard of last. Pure: the time is an argument."""

    def __init__(self, interval: float) -> None:
        """Know no run yet.

        Args:
            interval: Seconds that a run may go without a word.
        """
        self._interval = interval
        self._heard: dict[str, float] = {}
        self.next_at = math.inf
        """When to ask for the run that is due next; infinity when none is known."""

    def heard(self, run_id: str, now: float) -> None:
        """An answer said something about a run, if only that it is still there."""
        self._heard[run_id] = now
        self.next_at = min(self.next_at, now + self._interval)

    def due(self, runs: Collection[str], now: float) -> str | None:
        """The run to ask for now, which counts as heard of; None when none is due.

        Args:
            runs: The runs that are open.
            now: The time.
        """
        self._heard = {run_id: self._heard.get(run_id, now) for run_id in runs}
        longest = min(self._heard, key=self._heard.__getitem__, default=None)
        found = None
        if longest is not None and self._heard[longest] + self._interval <= now:
            found = longest
            self._heard[longest] = now
        self.next_at = min(self._heard.values(), default=math.inf) + self._interval
        return found
