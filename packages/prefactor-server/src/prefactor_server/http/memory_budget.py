"""A memory budget for the bodies of all requests and responses together.

The limits of an operation bound each request. This budget bounds their sum.
"""

from __future__ import annotations

from prefactor_server.domain.errors import Unavailable


class BudgetExhausted(Unavailable):
    """Other requests hold the whole memory budget."""

    retry_after = 1


class MemoryBudget:
    """Counts the bytes that requests hold. A ``limit`` of 0 means no limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def lease(self) -> Lease:
        """Return an empty lease for one request."""
        return Lease(self)


class Lease:
    """The bytes that one request holds."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._size = 0

    @property
    def size(self) -> int:
        """The number of bytes held."""
        return self._size

    def take(self, size: int) -> None:
        """Hold ``size`` more bytes.

        Raises:
            BudgetExhausted: the budget has too little left; nothing changed.
        """
        budget = self._budget
        if budget.limit and budget.held + size > budget.limit:
            raise BudgetExhausted(
                f"The requests in progress hold as much memory as they may ({budget.limit} bytes): "
                "send this request again later"
            )
        self.hold(size)

    def reserve(self, size: int) -> None:
        """Hold what a response is expected to need, before anything is read for it.

        That is at most a quarter of the budget, so that something larger can be read as well.

        Raises:
            BudgetExhausted: the budget has too little left; nothing changed.
        """
        limit = self._budget.limit
        self.take(min(size, limit // 4) if limit else size)

    def hold(self, size: int) -> None:
        """Hold more or fewer bytes regardless of the limit, for the response to a write."""
        self._size += size
        self._budget.held += size

    def shrink(self, size: int) -> None:
        """Hold at most ``size`` bytes."""
        self.hold(min(0, size - self._size))

    def release(self) -> None:
        """Release all bytes."""
        self.shrink(0)
