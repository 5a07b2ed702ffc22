"""Limits the work of one request for compiling, checking and rendering, counted in steps.

A step is about a microsecond on a slow core. Costs are estimated from sizes before the work starts,
so the outcome of a request does not depend on how busy the machine is.
"""

from __future__ import annotations

from typing import Final

REQUEST_STEPS: Final = 2_000_000
"""Two seconds of work. A thousand spans with ordinary schemas and templates take a twentieth."""


class Budget:
    """The steps that a request has left."""

    __slots__ = ("exceeded", "left")

    def __init__(self, steps: int = REQUEST_STEPS) -> None:
        self.left = steps
        self.exceeded = False

    def take(self, steps: int) -> bool:
        """Take steps for work that is about to start, or return False if too few are left.

        In that case no steps are taken, so that cheaper work can still be done.
        """
        if steps > self.left:
            self.exceeded = True
            return False
        self.left -= steps
        return True

    def charge(self, steps: int) -> None:
        """Take steps for work already done, at most those that are left."""
        self.left = max(self.left - steps, 0)

    def exhaust(self) -> None:
        """Take all remaining steps, because the time limit was reached."""
        self.left = 0
        self.exceeded = True
