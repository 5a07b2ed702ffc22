"""Deletes runs from a database file, in slices."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from prefactor_server.domain.runs.retention import (
    Deletion,
    DeletionRecord,
    EndedRun,
    Pruned,
    Retention,
)
from prefactor_server.storage.feed_rows import deleted_rows
from prefactor_server.storage.maintenance import (
    AUDIT_SLICE,
    RUN_SLICE,
    SPAN_SLICE,
    first_slice,
    prune_record,
)
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.feed import append

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "maintenance.sql")
_SPANS: Final = ("prune.delete_payloads", "prune.delete_spans")
_DELETED_WITH_RUNS: Final = (
    "prune.delete_quality",
    "prune.delete_metadata",
    "prune.delete_alerts",
    "prune.delete_webhook_deliveries",
    "prune.delete_runs",
)

RunState: TypeAlias = tuple[str, int, int]
"""A run's id, its number of spans and the time of its last change."""
Sizes: TypeAlias = Mapping[RunState, int]


def preview_slice(
    retention: Retention, after: tuple[int, str], connection: sqlite3.Connection
) -> tuple[Pruned, tuple[int, str] | None]:
    """Return the size of a slice of the old runs, and the start of the next one, if any."""
    parameters = retention._asdict() | {
        "finished_at": after[0],
        "id": after[1],
        "slice": RUN_SLICE,
    }
    records = connection.execute(_SQL["prune.preview"], parameters).fetchall()
    found = Pruned(
        len(records), sum(record[2] for record in records), sum(record[3] for record in records)
    )
    following = (records[-1][1], records[-1][0]) if len(records) == RUN_SLICE else None
    return found, following


def next_slice(
    retention: Retention, now: int, actor: str, connection: sqlite3.Connection
) -> Deletion:
    """Return the deletion of a slice of the old runs, which is of no run at the end."""
    parameters = retention._asdict() | {"runs": RUN_SLICE}
    runs = first_slice(connection.execute(_SQL["prune.runs"], parameters).fetchall(), SPAN_SLICE)
    record = prune_record(retention, now, actor)
    return Deletion(retention.account_id, runs, retention.ended_before, now, record)


def ended_runs(
    account_id: str,
    ended_before: int,
    after: tuple[int, str],
    limit: int,
    connection: sqlite3.Connection,
) -> Sequence[EndedRun]:
    """See ``Maintenance.ended_runs``."""
    named = {
        "account_id": account_id,
        "ended_before": ended_before,
        "finished_at": after[0],
        "id": after[1],
        "slice": limit,
    }
    return _ended(connection.execute(_SQL["retention.ended"], named))


def unended_runs(
    account_id: str, ended_before: int, after: str, limit: int, connection: sqlite3.Connection
) -> Sequence[EndedRun]:
    """See ``Maintenance.unended_runs``."""
    named = {"account_id": account_id, "ended_before": ended_before, "id": after, "slice": limit}
    return _ended(connection.execute(_SQL["retention.unended"], named))


def _ended(records: Iterable[Sequence[Any]]) -> Sequence[EndedRun]:
    return [EndedRun._make((*record[:-1], bool(record[-1]))) for record in records]


def payload_sizes(account_id: str, run_ids: Sequence[str], connection: sqlite3.Connection) -> Sizes:
    """Return the stored bytes of the payloads of runs, each in its present state."""
    named = {"account_id": account_id, "runs": json.dumps(run_ids)}
    return {
        (run_id, spans, updated_at): size
        for run_id, spans, updated_at, size in connection.execute(_SQL["prune.sizes"], named)
    }


def delete_runs(deletion: Deletion, sizes: Sizes, connection: sqlite3.Connection) -> Pruned:
    """Delete runs, within a transaction; see ``Maintenance.delete_runs``.

    ``sizes`` were read before, so that the file is not locked for that long. They are read again
    here for runs that changed meanwhile.
    """
    named = {
        "account_id": deletion.account_id,
        "runs": json.dumps(deletion.run_ids),
        "ended_before": deletion.ended_before,
    }
    states: list[RunState] = connection.execute(_SQL["prune.deletable"], named).fetchall()
    if not states:
        return Pruned()
    runs = [run_id for run_id, _, _ in states]
    if not sizes.keys() >= set(states):
        sizes = payload_sizes(deletion.account_id, runs, connection)
    pruned = Pruned(
        len(runs), sum(spans for _, spans, _ in states), sum(sizes[state] for state in states)
    )
    gone = {"account_id": deletion.account_id, "runs": json.dumps(runs)}
    for statement in ("prune.hide_spans",) if pruned.spans > SPAN_SLICE else _SPANS:
        connection.execute(_SQL[statement], gone)
    for statement in _DELETED_WITH_RUNS:
        connection.execute(_SQL[statement], gone)
    _record(connection, deletion.record, pruned)
    append(connection, deleted_rows(deletion.account_id, runs), deletion.now)
    return pruned


def delete_audit_entries(
    before: int, record: DeletionRecord, connection: sqlite3.Connection
) -> Pruned:
    """See ``Maintenance.delete_audit_entries``."""
    named = {"account_id": record.account_id, "before": before, "slice": AUDIT_SLICE}
    pruned = Pruned(audit_entries=connection.execute(_SQL["audit.forget"], named).rowcount)
    if pruned.audit_entries:
        _record(connection, record, pruned)
    return pruned


def _record(connection: sqlite3.Connection, record: DeletionRecord, pruned: Pruned) -> None:
    before, after = record.entry(), record.plus(pruned).entry()
    if record.so_far != Pruned():
        named = after._asdict() | {"previous": before.detail}
        if connection.execute(_SQL["audit.extend"], named).rowcount:
            return
    connection.execute(_SQL["audit.add"], record._replace(so_far=pruned).entry())
