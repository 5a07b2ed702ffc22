"""The maintenance of a database, possibly while servers use it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from prefactor_server.domain.account import Account
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.people.sign_in_link import LIFETIME_US
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.domain.runs.retention import (
    Deletion,
    DeletionRecord,
    EndedRun,
    Partition,
    PartitionRun,
    Pruned,
    Retention,
)
from prefactor_server.storage.base import Snapshot
from prefactor_server.storage.maintenance import SIGN_IN_SLICE, DatabaseStatus
from prefactor_server.storage.postgres.connection import RetryingPool
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.load import Loaded
from prefactor_server.storage.postgres.upkeep.empty_partition import (
    empty_partition,
    partitions,
    runs_of_partition,
)
from prefactor_server.storage.postgres.upkeep.partitions import extend
from prefactor_server.storage.postgres.upkeep.prune import (
    delete_audit_entries,
    delete_remaining_spans,
    delete_runs,
    ended_runs,
    preview_slice,
    prune_slice,
    unended_runs,
)
from prefactor_server.storage.postgres.upkeep.verify import verify
from prefactor_server.storage.postgres.write import arguments
from prefactor_server.storage.postgres.write_function import write_function
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.verify import Finding

_SQL: Final[Mapping[str, str]] = load_sql(
    "prefactor_server.storage.postgres.sql", "maintenance.sql"
)

# An arbitrary number that all servers share, locked until the transaction ends.
_LOCK: Final = "SELECT pg_advisory_xact_lock(6213795105)"
_FIRST_ACCOUNT: Final = "SELECT id FROM account ORDER BY inserted_at, id LIMIT 1"
_INSERT_ACCOUNT: Final = "INSERT INTO account VALUES ($1, $2, $3, $4, $5)"

# Servers that prune at the same time skip each other's slices.
_FORGET_KEYS: Final = """
DELETE FROM idempotency_key WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_key WHERE inserted_at < $1
    ORDER BY inserted_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""
_FORGET_RECEIPTS: Final = """
DELETE FROM write_receipt WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM write_receipt
    WHERE at < ((extract(epoch FROM clock_timestamp()) - 3600) * 1000000)::bigint
    ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED))
"""


class PostgresMaintenance:
    """See ``Maintenance``."""

    def __init__(self, writing: RetryingPool, reading: RetryingPool) -> None:
        self._writing = writing
        self._reading = reading

    async def check_writable(self) -> None:
        """See ``Maintenance.check_writable``."""
        await self._writing.run(_check_writable)

    async def now_us(self) -> int:
        """See ``Maintenance.now_us``."""
        return await self._reading.run(lambda connection: connection.fetchval(_SQL["clock"]))

    async def status(self) -> DatabaseStatus:
        """See ``Maintenance.status``."""
        (record,) = await self._reading.run(
            lambda connection: connection.fetch(_SQL["database.status"])
        )
        version, schema_version, size_bytes = record
        return DatabaseStatus("PostgreSQL", version, schema_version, size_bytes, None)

    def verify(self) -> AsyncIterator[Finding]:
        """See ``Maintenance.verify``."""
        return verify(self._reading)

    async def preview(self, retention: Retention) -> Pruned:
        """See ``Maintenance.preview``."""
        total, after = Pruned(), (0, "")
        while True:
            found, following = await self._reading.run(partial(preview_slice, retention, after))
            total = total.plus(found)
            if following is None:
                return total
            after = following

    async def held(self, retention: Retention) -> int:
        """See ``Maintenance.held``."""
        return await self._reading.run(
            lambda connection: connection.fetchval(_SQL["prune.held"], *retention)
        )

    async def prune(self, retention: Retention, now: int, actor: str) -> Pruned:
        """See ``Maintenance.prune``; a slice whose connection was lost is repeated."""
        return await self._writing.run(partial(prune_slice, retention, now, actor))

    async def extend_partitions(self, now: int, days: int) -> Sequence[str]:
        """See ``Maintenance.extend_partitions``; replicas take turns."""
        return await self._writing.run(lambda connection: extend(connection, now, days))

    async def partitions(self) -> Sequence[Partition]:
        """See ``Maintenance.partitions``."""
        return await self._reading.run(partitions)

    async def runs_of_partition(self, partition: Partition) -> Sequence[PartitionRun] | None:
        """See ``Maintenance.runs_of_partition``."""
        return await self._reading.run(partial(runs_of_partition, partition))

    async def empty_partition(
        self, partition: Partition, runs: Sequence[PartitionRun], deletions: Sequence[Deletion]
    ) -> Pruned | None:
        """See ``Maintenance.empty_partition``."""
        return await self._writing.run(partial(empty_partition, partition, runs, deletions))

    async def ended_runs(
        self, account_id: str, ended_before: int, after: tuple[int, str], limit: int
    ) -> Sequence[EndedRun]:
        """See ``Maintenance.ended_runs``."""
        return await self._reading.run(partial(ended_runs, account_id, ended_before, after, limit))

    async def unended_runs(
        self, account_id: str, ended_before: int, after: str, limit: int
    ) -> Sequence[EndedRun]:
        """See ``Maintenance.unended_runs``."""
        return await self._reading.run(
            partial(unended_runs, account_id, ended_before, after, limit)
        )

    async def delete_runs(self, deletion: Deletion) -> Pruned:
        """See ``Maintenance.delete_runs``; a slice whose connection was lost is repeated."""
        return await self._writing.run(partial(delete_runs, deletion))

    async def delete_remaining_spans(self) -> int:
        """See ``Maintenance.delete_remaining_spans``."""
        return await self._writing.run(delete_remaining_spans)

    async def delete_audit_entries(self, before: int, record: DeletionRecord) -> Pruned:
        """See ``Maintenance.delete_audit_entries``."""
        return await self._writing.run(partial(delete_audit_entries, before, record))

    async def forget_sign_ins(self, now: int, idle_us: int) -> int:
        """See ``Maintenance.forget_sign_ins``; replicas skip each other's slices."""
        return await self._writing.run(partial(_forget_sign_ins, now, idle_us))

    async def silent_traces(self, before: int, limit: int) -> Sequence[OtlpTrace]:
        """See ``Maintenance.silent_traces``."""
        records = await self._reading.run(
            lambda connection: connection.fetch(_SQL["otlp_trace.silent"], before, limit)
        )
        return [OtlpTrace._make(record) for record in records]

    async def holds(self, account_id: str) -> Sequence[LegalHold]:
        """See ``Maintenance.holds``."""
        records = await self._reading.run(
            lambda connection: connection.fetch(_SQL["hold.all"], account_id)
        )
        return [LegalHold._make(record) for record in records]

    async def add_hold(self, hold: LegalHold, audit: AuditEntry) -> bool:
        """See ``Maintenance.add_hold``."""
        return await self._writing.run(partial(_add_hold, hold, audit))

    async def remove_hold(self, account_id: str, run_id: str, audit: AuditEntry) -> bool:
        """See ``Maintenance.remove_hold``."""
        return await self._writing.run(partial(_remove_hold, account_id, run_id, audit))


class _RolledBack(Exception):
    """Rolls back a transaction that was only a test."""


async def _check_writable(connection: Connection) -> None:
    # Detects a missing table, a revoked privilege, and a server that became a standby.
    with suppress(_RolledBack):
        async with connection.transaction():
            await connection.execute(_SQL["probe.write"], uuid.uuid4())
            await connection.execute(_SQL["probe.read"])
            raise _RolledBack


async def _forget_sign_ins(now: int, idle_us: int, connection: Connection) -> int:
    forgotten = 0
    for statement, before in (
        ("session.forget_expired", now),
        ("session.forget_idle", now - idle_us),
        ("sign_in_link.forget", now - LIFETIME_US),
    ):
        status = await connection.execute(_SQL[statement], before, SIGN_IN_SLICE)
        forgotten += int(status.split()[-1])
    return forgotten


async def _add_hold(hold: LegalHold, audit: AuditEntry, connection: Connection) -> bool:
    async with connection.transaction():
        run = (hold.account_id, hold.agent_instance_id)
        if await connection.fetchval(_SQL["hold.run"], *run) is None:
            return False
        await connection.execute(_SQL["hold.add"], *hold)
        await connection.execute(_SQL["audit.add"], *audit)
        return True


async def _remove_hold(
    account_id: str, run_id: str, audit: AuditEntry, connection: Connection
) -> bool:
    async with connection.transaction():
        done = await connection.execute(_SQL["hold.remove"], account_id, run_id)
        if done == "DELETE 0":
            return False
        await connection.execute(_SQL["audit.add"], *audit)
        return True


async def create_account(connection: Connection, account: Account, rows: Snapshot) -> bool:
    """Store the first account with its rows; return whether it is the first. May be repeated."""
    async with connection.transaction():
        await connection.execute(_LOCK)
        first = await connection.fetchval(_FIRST_ACCOUNT)
        if first is not None:
            # An earlier attempt may have committed before its connection was lost.
            return bool(first == account.id)
        await connection.execute(_INSERT_ACCOUNT, *account)
        changes = arguments(Loaded({account.id: rows}, {})) or ()
        await connection.execute(write_function().call, uuid.uuid4(), *changes)
        return True


async def forget_keys(connection: Connection, before: int, slice_size: int) -> int:
    """Delete a slice of old keys, and one of old receipts; return the number of keys."""
    await connection.execute(_FORGET_RECEIPTS, slice_size)
    status = await connection.execute(_FORGET_KEYS, before, slice_size)
    return int(status.split()[-1])
