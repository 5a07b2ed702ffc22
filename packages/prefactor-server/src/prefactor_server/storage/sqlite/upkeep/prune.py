"""Deletes old runs from a database file, in slices."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from prefactor_server.domain.runs.retention import Pruned, Retention
from prefactor_server.storage.feed_rows import deleted_rows
from prefactor_server.storage.maintenance import RUN_SLICE, SPAN_SLICE, prune_audit_entry
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.feed import append

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "maintenance.sql")
_DELETED_WITH_RUNS: Final = (
    "prune.delete_quality",
    "prune.delete_metadata",
    "prune.delete_alerts",
    "prune.delete_webhook_deliveries",
    "prune.delete_runs",
)
_STATUSES: Final = ("pending", "active", "complete", "failed", "cancelled")


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


def prune_slice(
    retention: Retention, now: int, actor: str, connection: sqlite3.Connection
) -> Pruned:
    """Delete a slice, within a transaction."""
    parameters = retention._asdict() | {"runs": RUN_SLICE}
    runs = [record[0] for record in connection.execute(_SQL["prune.runs"], parameters)]
    if not runs:
        return Pruned()
    named = {"account_id": retention.account_id, "runs": json.dumps(runs)}
    spans = connection.execute(_SQL["prune.spans"], {**named, "spans": SPAN_SLICE}).fetchall()
    _delete_spans(connection, retention.account_id, spans)
    emptied = [record[0] for record in connection.execute(_SQL["prune.emptied"], named)]
    gone = {"account_id": retention.account_id, "runs": json.dumps(emptied)}
    for statement in _DELETED_WITH_RUNS:
        connection.execute(_SQL[statement], gone)
    pruned = Pruned(len(emptied), len(spans), sum(span[3] for span in spans))
    connection.execute(_SQL["audit.add"], prune_audit_entry(retention, pruned, now, actor))
    ids = [(span[1], span[4]) for span in spans]
    append(connection, deleted_rows(retention.account_id, ids, emptied), now)
    return pruned


def _delete_spans(
    connection: sqlite3.Connection, account_id: str, spans: Sequence[Sequence[Any]]
) -> None:
    seqs = {"seqs": json.dumps([span[0] for span in spans])}
    connection.execute(_SQL["prune.delete_payloads"], seqs)
    connection.execute(_SQL["prune.delete_spans"], seqs)
    counts = Counter((span[1], span[2]) for span in spans)
    connection.executemany(
        _SQL["prune.uncount"],
        [
            {
                "account_id": account_id,
                "id": run_id,
                **{status: counts[run_id, status] for status in _STATUSES},
            }
            for run_id in sorted({run_id for run_id, _ in counts})
        ],
    )
