"""How much a standby of the database is read, for the metrics."""

from __future__ import annotations

from typing import Final

OUTCOMES: Final = ("standby", "behind", "failed", "unusable")
"""Where a read that was allowed to use the standby went: there, or to the primary and why.

``behind``: the standby had not reached the caller's position. ``failed``: it was tried.
``unusable``: it was known to be unreachable, too far behind, or no standby of this database.
"""


class StandbyUse:
    """The state of a standby, and the number of reads by outcome."""

    def __init__(self) -> None:
        self.usable = False
        self.lag_seconds = 0.0
        self.reads = dict.fromkeys(OUTCOMES, 0)

    def count(self, outcome: str) -> None:
        """Count a read."""
        self.reads[outcome] += 1
