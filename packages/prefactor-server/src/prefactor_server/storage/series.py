"""The rollups of series and the rows they are derived from: reads across accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.series.figures import FinishedSpan
from prefactor_server.domain.series.rollup import CountedEnd, CountedLateSpan, Rollup, RollupKey

SPAN_COLUMNS: Final = ", ".join(f"t.{column}" for column in FinishedSpan._fields)
RUN_COLUMNS: Final = ", ".join(f"t.{column}" for column in AgentInstance._fields)
ROLLUP_COLUMNS: Final = ", ".join(f"t.{column}" for column in Rollup._fields)


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


class SeriesStorage(Protocol):
    """The reads for series. Writes go through the change feed, see ``Derived``.

    Raises from every method:
        Unavailable: the database cannot be reached.
    """

    async def runs_by_id(self, account_id: str, ids: Sequence[str]) -> Sequence[AgentInstance]:
        """Return the existing runs among ``ids``."""
        ...

    async def spans_by_id(self, account_id: str, ids: Sequence[str]) -> Sequence[FinishedSpan]:
        """Return the existing spans among ``ids`` that have an end, without payloads."""
        ...

    async def counted_late(
        self, account_id: str, run_ids: Sequence[str], ids: Sequence[str]
    ) -> Sequence[CountedLateSpan]:
        """Return the spans of runs that were finished late and have been counted."""
        ...

    async def counted_ends(self, account_id: str, run_ids: Sequence[str]) -> Sequence[CountedEnd]:
        """Return the ends with which runs were counted, if they may end again."""
        ...

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
        ...

    async def first_start(self, account_id: str, agent_id: str, seconds: int) -> int | None:
        """Return the start of the first rollup of an agent."""
        ...

    async def expired(self, kept_from: Mapping[int, int], limit: int) -> Sequence[RollupKey]:
        """Return some rollups that are older than the retention for their bucket's length."""
        ...
