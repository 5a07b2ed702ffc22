"""The reads of series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import invalid
from prefactor_server.domain.series.bucket import DAY, Range
from prefactor_server.domain.series.rollup import ALL_AGENTS, Rollup
from prefactor_server.domain.times import SECOND_US
from prefactor_server.storage.base import Storage
from prefactor_server.storage.series import RollupRange

MAX_ROLLUPS: Final = 10_000
"""The most stored rollups of one series, which has one per bucket and environment."""

_CONSUMER: Final = "series"


class Progress(NamedTuple):
    """The progress of the rollups. ``complete_from`` is None during the backfill of older runs.

    After the backfill, only the last ``behind_seconds`` may be missing.
    """

    complete_from: int | None
    behind_seconds: float


class SeriesQueries:
    """Reads rollups. A deployment token sees only those of its agent and environment."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def rollups(
        self, principal: Principal, agent_id: str, environment_id: str | None, requested: Range
    ) -> Sequence[Rollup]:
        """Return the rollups of an agent, or of ALL_AGENTS, in a range.

        Raises:
            ValidationFailed: there are too many, because of many environments.
        """
        rollup_range = RollupRange(
            principal.account_id,
            agent_id,
            requested.bucket.seconds,
            requested.start,
            requested.end,
            principal.environment_id or environment_id,
        )
        found = await self._storage.series.rollups(rollup_range, MAX_ROLLUPS + 1)
        if len(found) > MAX_ROLLUPS:
            raise invalid(
                "environment_id",
                f"is required here, because all environments together have more than {MAX_ROLLUPS} "
                "rollups in this range: name one, or choose a shorter range or larger buckets",
            )
        return found

    async def progress(self, principal: Principal, now: int) -> Progress:
        """Return the progress of an account's rollups."""
        feed = self._storage.feed
        state = (await feed.states()).get(_CONSUMER)
        unseen = await feed.changes(0 if state is None else state.position, 1)
        behind = max(0, now - unseen[0].at) / SECOND_US if unseen else 0.0
        if state is None or state.backfill is not None:
            return Progress(None, behind)
        first = await self._storage.series.first_start(
            principal.account_id, ALL_AGENTS, DAY.seconds
        )
        return Progress(DAY.start_of(now) if first is None else first, behind)
