"""Deletes runs in slices, concurrently with servers that write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

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
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.feed import append
from prefactor_server.storage.sql import load_sql

_SQL: Final[Mapping[str, str]] = load_sql(
    "prefactor_server.storage.postgres.sql", "maintenance.sql"
)


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
    """Delete a slice of the old runs."""
    async with connection.transaction():
        found = await connection.fetch(_SQL["prune.lock"], *retention, RUN_SLICE)
        runs = first_slice([(row[0], row[1]) for row in found], SPAN_SLICE)
        record = prune_record(retention, now, actor)
        deletion = Deletion(retention.account_id, runs, retention.ended_before, now, record)
        return await _delete(connection, deletion, await _unheld(connection, deletion))


async def ended_runs(
    account_id: str,
    ended_before: int,
    after: tuple[int, str],
    limit: int,
    connection: Connection,
) -> Sequence[EndedRun]:
    """See ``Maintenance.ended_runs``."""
    records = await connection.fetch(
        _SQL["retention.ended"], account_id, ended_before, *after, limit
    )
    return [EndedRun(*record) for record in records]


async def unended_runs(
    account_id: str, ended_before: int, after: str, limit: int, connection: Connection
) -> Sequence[EndedRun]:
    """See ``Maintenance.unended_runs``."""
    records = await connection.fetch(
        _SQL["retention.unended"], account_id, ended_before, after, limit
    )
    return [EndedRun(*record) for record in records]


async def delete_runs(deletion: Deletion, connection: Connection) -> Pruned:
    """See ``Maintenance.delete_runs``; skips runs that another server is deleting."""
    async with connection.transaction():
        return await _delete(connection, deletion, await lock(connection, deletion))


async def _delete(connection: Connection, deletion: Deletion, runs: Sequence[str]) -> Pruned:
    if not runs:
        return Pruned()
    pruned = await delete_spans(connection, deletion.account_id, runs, all_at_once=False)
    await delete_without_spans(connection, deletion._replace(run_ids=runs), pruned)
    return pruned


async def lock(connection: Connection, deletion: Deletion) -> Sequence[str]:
    """Lock runs, and return those that may be deleted."""
    locked = await _ids(connection, "prune.lock_runs", deletion, deletion.ended_before)
    return await _unheld(connection, deletion._replace(run_ids=locked))


async def _unheld(connection: Connection, deletion: Deletion) -> Sequence[str]:
    # Only a new statement sees a hold that was added while an earlier one waited for its run.
    return await _ids(connection, "prune.unheld", deletion)


async def delete_spans(
    connection: Connection, account_id: str, runs: Sequence[str], *, all_at_once: bool = True
) -> Pruned:
    """Delete the spans of locked runs, with their payloads, or hide them if they are many."""
    spans = await connection.fetchval(_SQL["prune.count_spans"], account_id, runs)
    if spans > SPAN_SLICE and not all_at_once:
        size = await connection.fetchval(_SQL["prune.payload_bytes"], account_id, runs)
        await connection.execute(_SQL["prune.hide_spans"], account_id, runs)
        return Pruned(len(runs), spans, size)
    size = await connection.fetchval(_SQL["prune.delete_payloads"], account_id, runs)
    await connection.execute(_SQL["prune.delete_spans"], account_id, runs)
    return Pruned(len(runs), spans, size)


async def delete_remaining_spans(connection: Connection) -> int:
    """See ``Maintenance.delete_remaining_spans``; skips runs that another server is at."""
    async with connection.transaction():
        while run := await connection.fetchrow(_SQL["deleted.lock"]):
            account_id, run_id = run
            found = await connection.fetch(_SQL["deleted.spans"], account_id, run_id, SPAN_SLICE)
            if ids := [record[0] for record in found]:
                named = (account_id, ids, ids[0], ids[-1])
                await connection.execute(_SQL["deleted.delete_payloads"], *named)
                await connection.execute(_SQL["deleted.delete_spans"], *named)
            if len(ids) < SPAN_SLICE:
                await connection.execute(_SQL["deleted.forget"], account_id, run_id)
            if ids:
                return len(ids)
    return 0


async def delete_without_spans(connection: Connection, deletion: Deletion, pruned: Pruned) -> None:
    """Delete locked runs with everything except their spans, and record it."""
    await connection.execute(_SQL["prune.delete_runs"], deletion.account_id, deletion.run_ids)
    await _record(connection, deletion.record, pruned)
    rows = deleted_rows(deletion.account_id, deletion.run_ids)
    await append(connection, rows, deletion.now)


async def delete_audit_entries(
    before: int, record: DeletionRecord, connection: Connection
) -> Pruned:
    """See ``Maintenance.delete_audit_entries``."""
    async with connection.transaction():
        status = await connection.execute(
            _SQL["audit.forget"], record.account_id, before, AUDIT_SLICE
        )
        pruned = Pruned(audit_entries=int(status.split()[-1]))
        if pruned.audit_entries:
            await _record(connection, record, pruned)
        return pruned


async def _record(connection: Connection, record: DeletionRecord, pruned: Pruned) -> None:
    # After a lost connection, an earlier attempt may have recorded more than is known here.
    before, after = record.entry(), record.plus(pruned).entry()
    if record.so_far != Pruned():
        done = await connection.execute(_SQL["audit.extend"], *after, before.detail)
        if done != "UPDATE 0":
            return
    await connection.execute(_SQL["audit.add"], *record._replace(so_far=pruned).entry())


async def _ids(
    connection: Connection, statement: str, deletion: Deletion, *more: int
) -> Sequence[str]:
    records = await connection.fetch(
        _SQL[statement], deletion.account_id, [*deletion.run_ids], *more
    )
    return [record[0] for record in records]
