"""Deletes old runs in slices, concurrently with servers that write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from prefactor_server.domain.runs.retention import Pruned, Retention
from prefactor_server.storage.feed_rows import deleted_rows
from prefactor_server.storage.maintenance import RUN_SLICE, SPAN_SLICE, prune_audit_entry
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.feed import append
from prefactor_server.storage.sql import load_sql

_SQL: Final[Mapping[str, str]] = load_sql(
    "prefactor_server.storage.postgres.sql", "maintenance.sql"
)
_DELETED_WITH_RUNS: Final = (
    "prune.delete_quality",
    "prune.delete_metadata",
    "prune.delete_alerts",
    "prune.delete_webhook_deliveries",
    "prune.delete_runs",
)
_STATUSES: Final = ("pending", "active", "complete", "failed", "cancelled")


async def preview_slice(
    retention: Retention, after: tuple[int, str], connection: Connection
) -> tuple[Pruned, tuple[int, str] | None]:
    """Return the size of a slice of the old runs, and the start of the next one, if any."""
    records = await connection.fetch(_SQL["prune.preview"], *retention, *after, RUN_SLICE)
    found = Pruned(
        len(records), sum(record[2] for record in records), sum(record[3] for record in records)
    )
    following = (records[-1][1], records[-1][0]) if len(records) == RUN_SLICE else None
    return found, following


async def prune_slice(retention: Retention, now: int, actor: str, connection: Connection) -> Pruned:
    """Delete a slice."""
    async with connection.transaction():
        account_id = retention.account_id
        locked = await connection.fetch(_SQL["prune.lock"], *retention, RUN_SLICE)
        # Only a new statement sees a hold that was added while this one waited for its run.
        runs = await _ids(connection, "prune.unheld", account_id, [row[0] for row in locked])
        if not runs:
            return Pruned()
        spans = await connection.fetch(_SQL["prune.spans"], account_id, runs, SPAN_SLICE)
        size = await _delete_spans(connection, account_id, spans)
        emptied = await _ids(connection, "prune.emptied", account_id, runs)
        for statement in _DELETED_WITH_RUNS:
            await connection.execute(_SQL[statement], account_id, emptied)
        pruned = Pruned(len(emptied), len(spans), size)
        await connection.execute(
            _SQL["audit.add"], *prune_audit_entry(retention, pruned, now, actor)
        )
        ids = [(span[1], span[0]) for span in spans]
        await append(connection, deleted_rows(account_id, ids, emptied), now)
        return pruned


async def _ids(
    connection: Connection, statement: str, account_id: str, runs: Sequence[str]
) -> list[str]:
    records = await connection.fetch(_SQL[statement], account_id, runs)
    return [record[0] for record in records]


async def _delete_spans(
    connection: Connection, account_id: str, spans: Sequence[Sequence[Any]]
) -> int:
    ids = [span[0] for span in spans]
    size: int = await connection.fetchval(_SQL["prune.delete_payloads"], account_id, ids)
    await connection.execute(_SQL["prune.delete_spans"], account_id, ids)
    counts = Counter((span[1], span[2]) for span in spans)
    for run_id in sorted({run_id for run_id, _ in counts}):
        by_status = [counts[run_id, status] for status in _STATUSES]
        await connection.execute(_SQL["prune.uncount"], account_id, run_id, *by_status)
    return size
