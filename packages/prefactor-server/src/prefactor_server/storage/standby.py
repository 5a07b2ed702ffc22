"""How much a standby of the database is read, for the metrics."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

Outcome: TypeAlias = Literal["standby", "behind", "failed", "unusable"]
"""Where a read that was allowed to use the standby went: there, or to the primary and why.

``behind``: the standby had not reached the caller's position. ``failed``: it was tried.
``unusable``: it was known to be unreachable, too far behind, or no standby of this database.
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
