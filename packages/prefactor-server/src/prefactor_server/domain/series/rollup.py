"""Rollups: the stored figures of an agent, and of an account, in a bucket of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import CLOSED_BY_TERMINATION, FINISHED, FINISHED_LATE
from prefactor_server.domain.series.bucket import BUCKETS, MINUTE
from prefactor_server.domain.series.figures import (
    NOTHING,
    Figures,
    FinishedSpan,
    Tally,
    decode_figures,
    encode_figures,
)

ALL_AGENTS: Final = ""
"""In place of an agent's id: the rollups of the account."""


class RollupKey(NamedTuple):
    """What a rollup is about. ``start`` is in microseconds, ``bucket_seconds`` its length."""

    account_id: str
    agent_id: str
    bucket_seconds: int
    start: int
    environment_id: str


class Rollup(NamedTuple):
    """A rollup as it is stored; see ``encode_figures``."""

    account_id: str
    agent_id: str
    bucket_seconds: int
    start: int
    environment_id: str
    figures: bytes

    @property
    def key(self) -> RollupKey:
        """What it is about."""
        return RollupKey(*self[:-1])


class CountedLateSpan(NamedTuple):
    """A span that was closed by a termination and finished later, and has been counted."""

    account_id: str
    agent_instance_id: str
    span_id: str
    counted_at: int


_Place: TypeAlias = tuple[str, str, str, int]
"""Account, agent, environment and the start of a minute."""

Added: TypeAlias = Mapping[RollupKey, Figures]
"""Figures to add to the stored ones."""


def is_counted(span: FinishedSpan) -> bool:
    """Return whether a span counts in its current state.

    The end that a termination gave a span is not how long its work took. Such a span counts once
    its agent finishes it.
    """
    return span.status in FINISHED and not span.flags & CLOSED_BY_TERMINATION


def is_late(span: FinishedSpan) -> bool:
    """Return whether a span was finished by its agent after a termination had closed it.

    The change feed does not distinguish that from later changes of the span, so such a span is
    remembered once it is counted.
    """
    return bool(span.flags & FINISHED_LATE)


def added_by(runs: Iterable[AgentInstance], spans: Iterable[FinishedSpan], now: int) -> Added:
    """Return what runs that ended and spans that finished add to the rollups that are kept."""
    tallies: dict[_Place, Tally] = {}
    for run in runs:
        if run.finished_at is not None:
            place = (run.account_id, run.agent_id, run.environment_id)
            _tally(tallies, place, run.finished_at).add_run(run)
    for span in spans:
        place = (span.account_id, span.agent_id, span.environment_id)
        _tally(tallies, place, span.finished_at).add_span(span)
    added: dict[RollupKey, Figures] = {}
    for (account_id, agent_id, environment_id, minute), tally in tallies.items():
        figures = tally.figures()
        for bucket in BUCKETS:
            start, kept = bucket.start_of(minute), bucket.kept_from(now)
            if kept is None or start >= kept:
                for agent in (agent_id, ALL_AGENTS):
                    key = RollupKey(account_id, agent, bucket.seconds, start, environment_id)
                    added[key] = added.get(key, NOTHING).plus(figures)
    return added


def _tally(tallies: dict[_Place, Tally], place: tuple[str, str, str], at: int) -> Tally:
    key = (*place, MINUTE.start_of(at))
    tally = tallies.get(key)
    if tally is None:
        tally = tallies[key] = Tally()
    return tally


def merged(added: Added, stored: Sequence[Rollup]) -> list[Rollup]:
    """Return the stored rollups with the added figures, and new ones."""
    known = {row.key: row for row in stored}
    return [
        Rollup(*key, encode_figures(_stored(known.get(key)).plus(figures)))
        for key, figures in sorted(added.items())
    ]


def _stored(row: Rollup | None) -> Figures:
    return NOTHING if row is None else decode_figures(row.figures)
