"""Computes the lag of a standby from the positions that it and the primary report."""

from __future__ import annotations

from collections import deque


class StandbyLag:
    """The lag of a standby: the age of the latest position of the primary that it has reached.

    A standby that lags by more than ``max_seconds`` is not used.
    """

    def __init__(self, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._known: deque[tuple[float, int]] = deque()
        self.seconds = 0.0

    def problem(self, now: float, primary: int, standby: int) -> str | None:
        """Return why the standby cannot be used, or None, from the positions of both.

        The position of the primary must have been read first.
        """
        known = self._known
        known.append((now, primary))
        while known[0][0] < now - self._max_seconds:
            known.popleft()
        reached = next((one for one in reversed(known) if one[1] <= standby), None)
        if reached is None:
            self.seconds = now - known[0][0]
            return f"it is behind by {self.seconds:.1f} seconds or more"
        self.seconds = now - reached[0]
        return None
