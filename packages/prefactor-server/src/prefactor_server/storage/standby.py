"""Counts the reads from a standby, for the metrics."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

Outcome: TypeAlias = Literal["standby", "behind", "failed", "unusable"]
"""Where a read that may use the standby went: to the standby, or to the primary for a reason.

``behind``: the standby had not reached the caller's position. ``failed``: the read failed on the
standby. ``unusable``: the standby was known to be unreachable, too far behind, or not a standby of
this database.
"""

OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


class StandbyUse:
    """The state of a standby, and the number of reads by outcome."""

    def __init__(self) -> None:
        self.usable = False
        self.lag_seconds = 0.0
        self.reads: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)

    def count(self, outcome: Outcome) -> None:
        """Count a read."""
        self.reads[outcome] += 1
