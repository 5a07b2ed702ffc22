"""The cost of a run compared with its agent's limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from prefactor_server.domain.runs.run_total import COST_UNITS


class LimitedCost(NamedTuple):
    """The cost of a run, None if none of its tokens has a price, and its limit.

    Both are integers, as in ``RunTotal``.
    """

    cost: int | None
    limit: int
    currency: str | None

    @property
    def is_exceeded(self) -> bool:
        """Whether the cost exceeds the limit."""
        return self.cost is not None and self.cost > self.limit

    def payload(self) -> Mapping[str, Any]:
        """Return the payload of the alert about it."""
        return {
            "total_cost": None if self.cost is None else self.cost / COST_UNITS,
            "currency": self.currency,
            "run_cost_limit": self.limit / COST_UNITS,
        }
