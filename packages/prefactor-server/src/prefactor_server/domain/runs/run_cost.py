"""The cost of a run, held against the limit that its agent has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from prefactor_server.domain.runs.run_total import COST_UNITS


class LimitedCost(NamedTuple):
    """What a run has cost, None if nothing of it has a price, and the most that it is to cost.

    Both are in units of ``COST_UNITS``.
    """

    cost: int | None
    limit: int
    currency: str | None

    @property
    def is_exceeded(self) -> bool:
        """Whether the run has cost more than its agent's limit."""
        return self.cost is not None and self.cost > self.limit

    def payload(self) -> Mapping[str, Any]:
        """Return what an alert says about it."""
        return {
            "total_cost": None if self.cost is None else self.cost / COST_UNITS,
            "currency": self.currency,
            "run_cost_limit": self.limit / COST_UNITS,
        }
