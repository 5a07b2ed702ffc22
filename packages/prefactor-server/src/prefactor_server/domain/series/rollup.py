"""Rollups: the stored figures of an agent, and of an account, in a bucket of time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from prefactor_server.domain.runs.agent_instance import AgentInstance, InstanceStatus
from prefactor_server.domain.runs.agent_span import CLOSED_BY_TERMINATION, FINISHED, FINISHED_LATE
from prefactor_server.domain.series.bucket import BUCKETS, MINUTE
from prefactor_server.domain.series.figures import (
    NOTHING,
    Figures,
    FinishedSpan,
    Tally,
    sum_of,
)
from prefactor_server.domain.series.stored_figures import decode_figures, encode_figures

ALL_AGENTS: Final = ""
"""In scope of an agent's id, for the rollups of the account."""

ALL_ENVIRONMENTS: Final = ""
"""In scope of an environment's id, for the sum of all, if the bucket has several."""


class RollupKey(NamedTuple):
    """The key of a rollup. ``start`` is in microseconds."""

    account_id: str
    agent_id: str
    bucket_seconds: int
    start: int
    environment_id: str

    @property
    def of_all(self) -> RollupKey:
        """The key of all environments in the same bucket."""
        return self._replace(environment_id=ALL_ENVIRONMENTS)


class Rollup(NamedTuple):
    """A stored rollup; see ``encode_figures``."""

    account_id: str
    agent_id: str
    bucket_seconds: int
    start: int
    environment_id: str
    figures: bytes

    @property
    def key(self) -> RollupKey:
        """The key of the rollup."""
        return RollupKey(*self[:-1])

    @property
    def is_empty(self) -> bool:
        """Whether all its figures are zero."""
        return self.figures == _EMPTY


_EMPTY: Final = encode_figures(NOTHING)


class RollupDue(NamedTuple):
    """A bucket from an earlier version, without ALL_ENVIRONMENTS and slow to read."""

    account_id: str
    agent_id: str
    bucket_seconds: int
    start: int


class CountedLateSpan(NamedTuple):
    """A counted span that a termination closed and its agent finished later."""

    account_id: str
    agent_instance_id: str
    span_id: str
    counted_at: int


class CountedEnd(NamedTuple):
    """The end with which a run was counted, kept because the run may end again."""

    account_id: str
    agent_instance_id: str
    status: InstanceStatus
    started_at: int | None
    finished_at: int | None

    @classmethod
    def of(cls, run: AgentInstance) -> CountedEnd:
        """Return the end that a run has now."""
        return cls(run.account_id, run.id, run.status, run.started_at, run.finished_at)

    def apply_to(self, run: AgentInstance) -> AgentInstance:
        """Return the run as it was counted."""
        return run._replace(
            status=self.status, started_at=self.started_at, finished_at=self.finished_at
        )


_TRACE_ID: Final = re.compile(r"[0-9a-fA-F]{32}")

_TallyKey: TypeAlias = tuple[str, str, str, int]
"""An account, agent, environment and the start of a minute."""

Added: TypeAlias = Mapping[RollupKey, Figures]
"""Figures to add to the stored ones, or to subtract from them."""

_NO_CHANGE: Final[Added] = {}


def is_counted(span: FinishedSpan) -> bool:
    """Return whether a span counts in its current state.

    A span that a termination closed counts once its agent finishes it, because until then its end
    does not say how long the work took.
    """
    return span.status in FINISHED and not span.flags & CLOSED_BY_TERMINATION


def is_late(span: FinishedSpan) -> bool:
    """Return whether a span was finished by its agent after a termination had closed it.

    The change feed does not distinguish that from later changes of the span, so the ids of such
    spans are stored once they are counted.
    """
    return bool(span.flags & FINISHED_LATE)


def may_end_again(run: AgentInstance) -> bool:
    """Return whether the end of a run may be replaced.

    A provisional end may be replaced. So may any end of a run that OTLP can write to, because each
    further root of its trace may end it later, and each further span may start it earlier.
    """
    return run.ended_by is not None or bool(_TRACE_ID.fullmatch(run.external_identifier or ""))


def added_by(runs: Iterable[AgentInstance], spans: Iterable[FinishedSpan], now: int) -> Added:
    """Return the figures that ended runs and finished spans add to the rollups."""
    tallies: dict[_TallyKey, Tally] = {}
    for run in runs:
        if run.finished_at is not None:
            scope = (run.account_id, run.agent_id, run.environment_id)
            _tally(tallies, scope, run.finished_at).add_run(run)
    for span in spans:
        scope = (span.account_id, span.agent_id, span.environment_id)
        _tally(tallies, scope, span.finished_at).add_span(span)
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


def _tally(tallies: dict[_TallyKey, Tally], scope: tuple[str, str, str], at: int) -> Tally:
    key = (*scope, MINUTE.start_of(at))
    tally = tallies.get(key)
    if tally is None:
        tally = tallies[key] = Tally()
    return tally


def keys_to_read(*changed: Added) -> Sequence[RollupKey]:
    """Return the keys of the stored rollups that ``merged`` reads."""
    keys = {key for figures in changed for key in figures}
    return sorted({*keys, *(key.of_all for key in keys)})


def merged(added: Added, stored: Sequence[Rollup], removed: Added = _NO_CHANGE) -> list[Rollup]:
    """Return the stored rollups with the added figures, without the removed runs, and new ones.

    The stored sum under ALL_ENVIRONMENTS changes in the same way. A missing one is computed from
    the rollups of the environments.
    """
    known = {row.key: decode_figures(row.figures) for row in stored}
    written = {
        key: known.get(key, NOTHING)
        .plus(added.get(key, NOTHING))
        .without_runs_of(removed.get(key, NOTHING))
        for key in added.keys() | removed.keys()
    }
    more, less = _by_bucket(added), _by_bucket(removed)
    buckets = more.keys() | less.keys()
    of_all = {
        key: sum_of((known[key], *more.get(key, ()))).without_runs_of(sum_of(less.get(key, ())))
        for key in buckets & known.keys()
    }
    return _encoded(written | of_all | _missing_sums(known | written, buckets - of_all.keys()))


def _by_bucket(changed: Added) -> Mapping[RollupKey, Sequence[Figures]]:
    """Return the figures of each environment, by the key of all environments."""
    found: dict[RollupKey, list[Figures]] = defaultdict(list)
    for key, figures in changed.items():
        found[key.of_all].append(figures)
    return found


def rewritten(stored: Sequence[Rollup]) -> list[Rollup]:
    """Return rollups of an earlier version in the current form, with ALL_ENVIRONMENTS."""
    known = {row.key: decode_figures(row.figures) for row in stored}
    return _encoded(known | _missing_sums(known, {key.of_all for key in known} - known.keys()))


def _missing_sums(
    known: Mapping[RollupKey, Figures], missing: AbstractSet[RollupKey]
) -> dict[RollupKey, Figures]:
    parts: dict[RollupKey, list[Figures]] = defaultdict(list)
    for key, figures in sorted(known.items(), key=itemgetter(0)):
        if key.of_all in missing:
            parts[key.of_all].append(figures)
    return {key: sum_of(figures) for key, figures in parts.items() if len(figures) > 1}


def _encoded(rows: Mapping[RollupKey, Figures]) -> list[Rollup]:
    return [Rollup(*key, encode_figures(rows[key])) for key in sorted(rows)]
