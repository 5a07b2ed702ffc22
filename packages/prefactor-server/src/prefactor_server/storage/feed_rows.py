"""Derives the change feed's rows from a decided batch: one per changed run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from prefactor_server.domain.change import (
    END_REVISED,
    IMPORTED,
    METADATA,
    QUALITY,
    RUN_CHANGED,
    RUN_CREATED,
    RUN_DELETED,
    RUN_ENDED,
    SPANS_CLOSED,
    SPANS_REVISED,
    Change,
)
from prefactor_server.domain.runs.agent_instance import OPEN_STATUSES, AgentInstance
from prefactor_server.domain.runs.agent_span import FINISHED, AgentSpan
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.storage.batch import Snapshot

STATE_COLUMNS: Final = tuple(
    column
    for column in AgentInstance._fields[AgentInstance._fields.index("status") :]
    if not column.endswith("_spans") and column not in {"updated_at", "last_seen_at"}
)
"""The columns of a run that can change, besides span counts and times of changes.

Quality also changes ``updated_at``, and every span changes ``last_seen_at``.
"""

run_state: Final = attrgetter(*STATE_COLUMNS)
"""Returns the values of these columns."""

# No id contains a line break, see ``domain.ids``.
_SEPARATOR: Final = "\n"


class FeedRow(NamedTuple):
    """A change as it is stored, without its position and time.

    ``span_ids`` are joined by line breaks. The first ``finished`` of them are of finished spans.
    """

    account_id: str
    agent_instance_id: str
    flags: int
    finished: int
    span_ids: str


class _Touched:
    """The changes of one run."""

    __slots__ = ("finished", "flags", "others")

    def __init__(self) -> None:
        self.flags = 0
        self.finished: list[str] = []
        self.others: list[str] = []

    def row(self, account_id: str, run_id: str) -> FeedRow:
        ids = self.finished + self.others if self.others else self.finished
        return FeedRow(account_id, run_id, self.flags, len(self.finished), _SEPARATOR.join(ids))


class _Runs(dict[str, _Touched]):
    """The changes by run; a missing run has none."""

    def __missing__(self, run_id: str) -> _Touched:
        touched = self[run_id] = _Touched()
        return touched


def feed_rows(
    account_id: str, snapshot: Snapshot, closed: Mapping[str, Collection[str]] | None = None
) -> list[FeedRow]:
    """Return the changes of a batch to the runs of an account, ordered by id.

    ``closed`` lists stored spans that a termination closed, by run, if the backend knows them.
    """
    runs = _Runs()
    for span in snapshot.new(AgentSpan):
        touched = runs[span.agent_instance_id]
        (touched.finished if span.status in FINISHED else touched.others).append(span.id)
    if changed := snapshot.changed(AgentSpan):
        _add_changed(runs, changed, _loaded(snapshot, AgentSpan))
    _add_runs(runs, snapshot)
    for rows in (snapshot.new, snapshot.changed):
        for quality in rows(InstanceQuality):
            runs[quality.id].flags |= QUALITY
        for metadata in rows(InstanceMetadata):
            runs[metadata.id].flags |= METADATA
    for run_id, _ in snapshot.closed_runs:
        runs[run_id].flags |= SPANS_CLOSED
    for run_id, ids in (closed or {}).items():
        # The batch itself may name some of them.
        touched = runs[run_id]
        touched.finished = list(dict.fromkeys([*touched.finished, *ids]))
    if snapshot.imported:
        for touched in runs.values():
            touched.flags |= IMPORTED
    return [runs[run_id].row(account_id, run_id) for run_id in sorted(runs)]


def _add_changed(
    runs: _Runs, changed: Iterable[AgentSpan], loaded: Mapping[str, AgentSpan]
) -> None:
    for span in changed:
        touched = runs[span.agent_instance_id]
        if loaded[span.id].status in FINISHED:
            touched.flags |= SPANS_REVISED
            touched.others.append(span.id)
        elif span.status in FINISHED:
            touched.finished.append(span.id)
        else:
            touched.others.append(span.id)


def _add_runs(runs: _Runs, snapshot: Snapshot) -> None:
    for run in snapshot.new(AgentInstance):
        ended = 0 if run.status in OPEN_STATUSES else RUN_ENDED
        runs[run.id].flags |= RUN_CREATED | ended
    changed = snapshot.changed(AgentInstance)
    if not changed:
        return
    loaded = _loaded(snapshot, AgentInstance)
    for run in changed:
        before = loaded[run.id]
        if run_state(run) != run_state(before):
            runs[run.id].flags |= RUN_CHANGED | _end(before, run)


def _end(before: AgentInstance, run: AgentInstance) -> int:
    """Return the flag for a change of a run's end, or 0."""
    if run.status in OPEN_STATUSES:
        return 0
    return RUN_ENDED if before.status in OPEN_STATUSES else END_REVISED


def _loaded(snapshot: Snapshot, kind: type[Any]) -> Mapping[str, Any]:
    rows: Sequence[Any] = snapshot.loaded
    return {row.id: row for row in rows if isinstance(row, kind)}


def deleted_rows(account_id: str, runs: Iterable[str]) -> list[FeedRow]:
    """Return the deletion of runs, which implies that of their spans."""
    return [FeedRow(account_id, run_id, RUN_DELETED, 0, "") for run_id in sorted(runs)]


def change(record: Sequence[Any]) -> Change:
    """Return the change in a record: position, account, run, time, flags, finished, span ids."""
    position, account_id, run_id, at, flags, finished, packed = record
    ids = tuple(packed.split(_SEPARATOR)) if packed else ()
    return Change(position, account_id, run_id, at, flags, ids, ids[:finished])


def whole_commits(records: Iterable[Sequence[Any]], limit: int) -> list[Change]:
    """Return the changes of the first commits, until these have ``limit`` rows."""
    changes: list[Change] = []
    weight = 0
    for record in records:
        if weight >= limit and record[0] != changes[-1].position:
            break
        one = change(record)
        changes.append(one)
        weight += one.weight
    return changes
