"""The rollups of series and the rows they are derived from: reads across accounts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.series.figures import FinishedSpan
from prefactor_server.domain.series.rollup import CountedEnd, CountedLateSpan, Rollup, RollupKey
from prefactor_server.storage.recent_spans import RecentSpans
from prefactor_server.storage.sql import NamedStatements

_FINISHED: Final = attrgetter(*FinishedSpan._fields)


class RollupRange(NamedTuple):
    """The rollups of an agent from ``start`` to before ``end``.

    ``environment_id`` is None for all environments.
    """

    account_id: str
    agent_id: str
    bucket_seconds: int
    start: int
    end: int
    environment_id: str | None


class SeriesStorage(ABC):
    """The reads for series. Writes go through the change feed, see ``Derived``.

    ``recent`` are the spans and runs in memory, which need not be read.

    Raises from every method:
        Unavailable: the database cannot be reached.
    """

    def __init__(self, statements: NamedStatements, recent: RecentSpans) -> None:
        self._statements = statements
        self._recent = recent

    async def runs_by_id(self, account_id: str, ids: Sequence[str]) -> Sequence[AgentInstance]:
        """Return the existing runs among ``ids``."""
        recent, others = self._recent.find_runs(account_id, ids)
        if not others:
            return recent
        found = await self._statements.rows(
            AgentInstance._make, "series.runs", account_id=account_id, ids=list(others)
        )
        return [*recent, *found]

    async def spans_by_id(self, account_id: str, ids: Sequence[str]) -> Sequence[FinishedSpan]:
        """Return the existing spans among ``ids`` that have an end, without payloads."""
        recent, others = self._recent.find(account_id, ids)
        found = [
            FinishedSpan._make(_FINISHED(one.span))
            for one in recent
            if one.span.finished_at is not None
        ]
        if others:
            found += await self._statements.rows(
                FinishedSpan._make, "series.spans", account_id=account_id, ids=list(others)
            )
        return found

    async def counted_late(
        self, account_id: str, run_ids: Sequence[str], ids: Sequence[str]
    ) -> Sequence[CountedLateSpan]:
        """Return the spans of runs that were finished late and have been counted."""
        return await self._statements.rows(
            CountedLateSpan._make,
            "series.counted_late",
            account_id=account_id,
            run_ids=list(run_ids),
            ids=list(ids),
        )

    async def counted_ends(self, account_id: str, run_ids: Sequence[str]) -> Sequence[CountedEnd]:
        """Return the ends with which runs were counted, if they may end again."""
        return await self._statements.rows(
            CountedEnd._make, "series.counted_ends", account_id=account_id, run_ids=list(run_ids)
        )

    @abstractmethod
    async def rollups_by_key(self, keys: Sequence[RollupKey]) -> Sequence[Rollup]:
        """Return the existing rollups among ``keys``.

        In place of a missing one of ALL_ENVIRONMENTS, it returns those of each environment.
        """
        ...

    async def rollups(self, within: RollupRange, limit: int) -> Sequence[Rollup]:
        """Return at most ``limit`` rollups of a range, in order of start.

        Without an environment, it returns those of ALL_ENVIRONMENTS, and in place of a missing
        one, those of each environment.
        """
        is_one = within.environment_id is not None
        return await self._statements.rows(
            Rollup._make,
            "series.rollups" if is_one else "series.rollups_of_all",
            **within._asdict(),
            limit=limit,
        )

    async def first_start(self, account_id: str, agent_id: str, seconds: int) -> int | None:
        """Return the start of the first rollup of an agent."""
        start: int | None = await self._statements.value(
            "series.first", account_id=account_id, agent_id=agent_id, bucket_seconds=seconds
        )
        return start

    async def expired(self, kept_from: Mapping[int, int], limit: int) -> Sequence[RollupKey]:
        """Return some rollups that are older than the retention for their bucket's length."""
        found: list[RollupKey] = []
        for seconds, start in kept_from.items():
            found += await self._statements.rows(
                RollupKey._make,
                "series.expired",
                bucket_seconds=seconds,
                before=start,
                limit=limit,
            )
        return found
