"""The lag of derived rows, such as totals and the search index, behind the change feed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from prefactor_server.domain.derived import DerivedState
from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.run_total import RUN_TOTALS
from prefactor_server.storage.base import Storage
from prefactor_server.storage.feed import ConsumerState

_CONSUMERS: Final[Mapping[str, str]] = {
    "schema_name": "span_types",
    "risk_level": RUN_TOTALS,
    "cost": RUN_TOTALS,
}


class DerivedQueries:
    """Reads the lag of the change feed's consumers."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def of_filters(self, filters: Sequence[Filter], now: int) -> DerivedState | None:
        """Return the lag of the derived rows that filters use, or None if they use none."""
        names = {_CONSUMERS[one.column] for one in filters if one.column in _CONSUMERS}
        return await self._of(names, now) if names else None

    async def of_all(self, now: int) -> DerivedState:
        """Return the lag of all derived rows that filters can use."""
        return await self._of(set(_CONSUMERS.values()), now)

    async def of_totals(self, now: int) -> DerivedState:
        """Return the lag of the totals of runs."""
        return await self._of({_CONSUMERS["cost"]}, now)

    async def of_search(self, now: int) -> DerivedState:
        """Return the lag of the search index."""
        return await self._behind([await self._storage.search.state()], now)

    async def _of(self, names: Collection[str], now: int) -> DerivedState:
        states = await self._storage.feed.states()
        return await self._behind([states.get(name) for name in names], now)

    async def _behind(self, states: Sequence[ConsumerState | None], now: int) -> DerivedState:
        known = [state for state in states if state is not None]
        if len(known) < len(states):
            return DerivedState(0, complete=False)
        missing = await self._storage.feed.changes(min(state.position for state in known), 1)
        behind = max(now - missing[0].at, 0) if missing else 0
        return DerivedState(behind, complete=all(state.backfill is None for state in known))
