"""The work that one request may do in compiling, checking and rendering, counted in steps.

A step is about a microsecond of a slow core. What an operation costs is estimated before it runs,
from sizes that are known by then, so the same request has the same outcome on a busy machine.
"""

from __future__ import annotations

from typing import Final

REQUEST_STEPS: Final = 2_000_000
"""Two seconds: a thousand spans with ordinary schemas and templates take a twentieth of it."""


class Budget:
    """The steps that are left of a request's."""

    __slots__ = ("exceeded", "left")

    def __init__(self, steps: int = REQUEST_STEPS) -> None:
        self.left = steps
        self.exceeded = False

    def take(self, steps: int) -> bool:
        """Take steps for work that is about to be done; False if there are fewer left.

        Then nothing is taken, so that something cheaper may still be done.
        """
        if steps > self.left:
            self.exceeded = True
            return False
        self.left -= steps
        return True

    def charge(self, steps: int) -> None:
        """Take steps for work that was done, up to those that are left."""
        self.left = max(self.left - steps, 0)

    def exhaust(self) -> None:
        """Leave no steps: the clock says that enough was done."""
        self.left = 0
        self.exceeded = True
