"""One budget in bytes for what requests hold: their bodies and their answers, over all connections.

Each request alone is bounded by the limits of its operation; what many of them hold together is
bounded here.
"""

from __future__ import annotations

from prefactor_server.domain.errors import Unavailable


class BudgetExhausted(Unavailable):
    """Other requests hold all of the memory that requests may hold."""

    retry_after = 1


class MemoryBudget:
    """Counts the bytes that requests hold. A ``limit`` of 0 is no limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def lease(self) -> Lease:
        """A share for one request, empty at first."""
        return Lease(self)


class Lease:
    """What one request holds."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._size = 0

    def take(self, size: int) -> None:
        """Hold more.

        Raises:
            BudgetExhausted: it does not fit beside what other requests hold; nothing changed.
        """
        budget = self._budget
        if budget.limit and budget.held + size > budget.limit:
            raise BudgetExhausted(
                f"The server holds as many bytes of requests and answers as it may "
                f"({budget.limit}): send this request again later"
            )
        self.hold(size)

    def hold(self, size: int) -> None:
        """Hold more, or less, whatever the limit: the answer of what has been done already."""
        self._size += size
        self._budget.held += size

    def shrink(self, size: int) -> None:
        """Hold no more than this."""
        self.hold(min(0, size - self._size))

    def release(self) -> None:
        """Hold nothing."""
        self.shrink(0)
