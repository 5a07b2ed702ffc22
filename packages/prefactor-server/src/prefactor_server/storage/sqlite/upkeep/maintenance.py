"""The maintenance of a database file, possibly while a server uses it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

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
from prefactor_server.storage import clock
from prefactor_server.storage.maintenance import SIGN_IN_SLICE, SPAN_SLICE, DatabaseStatus
from prefactor_server.storage.recent_spans import RecentSpans
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.damage import check_readable
from prefactor_server.storage.sqlite.deleted_runs import delete_remaining_spans
from prefactor_server.storage.sqlite.named_statements import RunOnThread
from prefactor_server.storage.sqlite.search import search_path
from prefactor_server.storage.sqlite.tables import table_for
from prefactor_server.storage.sqlite.upkeep.prune import (
    delete_audit_entries,
    delete_runs,
    ended_runs,
    next_slice,
    payload_sizes,
    preview_slice,
    unended_runs,
)
from prefactor_server.storage.sqlite.upkeep.verify import verify
from prefactor_server.storage.verify import Finding

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "maintenance.sql")
_FILES: Final = ("", "-wal", "-shm")
_FORGET: Final = ("session.forget_expired", "session.forget_idle", "sign_in_link.forget")


class SqliteMaintenance:
    """See ``Maintenance``.

    ``on_writer`` runs work on the writer thread, inside a transaction; ``on_reader`` on a reader
    thread. ``recent`` are the spans in memory.
    """

    def __init__(self, on_writer: RunOnThread, on_reader: RunOnThread, recent: RecentSpans) -> None:
        self._on_writer = on_writer
        self._on_reader = on_reader
        self._recent = recent

    async def check_writable(self) -> None:
        """See ``Maintenance.check_writable``."""
        await self._on_reader(check_readable)
        await self._on_writer(_touch)

    async def now_us(self) -> int:
        """See ``Maintenance.now_us``. A file has no clock but that of its machine."""
        return clock.now_us()

    async def status(self) -> DatabaseStatus:
        """See ``Maintenance.status``."""
        return await self._on_reader(_status)

    def verify(self) -> AsyncIterator[Finding]:
        """See ``Maintenance.verify``."""
        return verify(self._on_reader)

    async def preview(self, retention: Retention) -> Pruned:
        """See ``Maintenance.preview``."""
        total, after = Pruned(), (0, "")
        while True:
            found, following = await self._on_reader(partial(preview_slice, retention, after))
            total = total.plus(found)
            if following is None:
                return total
            after = following

    async def held(self, retention: Retention) -> int:
        """See ``Maintenance.held``."""
        return await self._on_reader(
            lambda connection: int(
                connection.execute(_SQL["prune.held"], retention._asdict()).fetchone()[0]
            )
        )

    async def prune(self, retention: Retention, now: int, actor: str) -> Pruned:
        """See ``Maintenance.prune``."""
        while True:
            deletion = await self._on_reader(partial(next_slice, retention, now, actor))
            if not deletion.run_ids:
                return Pruned()
            # Holds may have been added meanwhile, to all of its runs.
            if (pruned := await self.delete_runs(deletion)) != Pruned():
                return pruned

    async def extend_partitions(self, now: int, days: int) -> Sequence[str]:  # noqa: ARG002 - as the others
        """See ``Maintenance.extend_partitions``; a file has none."""
        return ()

    async def ended_runs(
        self, account_id: str, ended_before: int, after: tuple[int, str], limit: int
    ) -> Sequence[EndedRun]:
        """See ``Maintenance.ended_runs``."""
        return await self._on_reader(partial(ended_runs, account_id, ended_before, after, limit))

    async def unended_runs(
        self, account_id: str, ended_before: int, after: str, limit: int
    ) -> Sequence[EndedRun]:
        """See ``Maintenance.unended_runs``."""
        return await self._on_reader(partial(unended_runs, account_id, ended_before, after, limit))

    async def delete_runs(self, deletion: Deletion) -> Pruned:
        """See ``Maintenance.delete_runs``."""
        sizes = await self._on_reader(partial(payload_sizes, deletion.account_id, deletion.run_ids))

        def delete(connection: sqlite3.Connection) -> Pruned:
            self._recent.clear()
            return delete_runs(deletion, sizes, connection)

        return await self._on_writer(delete)

    async def delete_remaining_spans(self) -> int:
        """See ``Maintenance.delete_remaining_spans``."""
        return await self._on_writer(partial(delete_remaining_spans, SPAN_SLICE))

    async def delete_audit_entries(self, before: int, record: DeletionRecord) -> Pruned:
        """See ``Maintenance.delete_audit_entries``."""
        return await self._on_writer(partial(delete_audit_entries, before, record))

    async def partitions(self) -> Sequence[Partition]:
        """See ``Maintenance.partitions``; a file has none."""
        return ()

    async def runs_of_partition(self, partition: Partition) -> Sequence[PartitionRun] | None:
        """See ``Maintenance.runs_of_partition``."""
        raise LookupError(partition)

    async def empty_partition(
        self,
        partition: Partition,
        runs: Sequence[PartitionRun],  # noqa: ARG002 - there are no partitions
        deletions: Sequence[Deletion],  # noqa: ARG002
    ) -> Pruned | None:
        """See ``Maintenance.empty_partition``."""
        raise LookupError(partition)

    async def forget_sign_ins(self, now: int, idle_us: int) -> int:
        """See ``Maintenance.forget_sign_ins``."""
        parameters = {
            "now": now,
            "idle_since": now - idle_us,
            "link_before": now - LIFETIME_US,
            "slice": SIGN_IN_SLICE,
        }

        def forget(connection: sqlite3.Connection) -> int:
            return sum(connection.execute(_SQL[one], parameters).rowcount for one in _FORGET)

        return await self._on_writer(forget)

    async def silent_traces(self, before: int, limit: int) -> Sequence[OtlpTrace]:
        """See ``Maintenance.silent_traces``."""
        table = table_for(OtlpTrace)
        text = f"{table.select} WHERE updated_at < ? ORDER BY updated_at LIMIT ?"
        return await self._on_reader(
            lambda connection: table.rows(connection.execute(text, (before, limit)))
        )

    async def holds(self, account_id: str) -> Sequence[LegalHold]:
        """See ``Maintenance.holds``."""
        return await self._on_reader(
            lambda connection: [
                LegalHold._make(record)
                for record in connection.execute(_SQL["hold.all"], {"account_id": account_id})
            ]
        )

    async def add_hold(self, hold: LegalHold, audit: AuditEntry) -> bool:
        """See ``Maintenance.add_hold``."""
        return await self._on_writer(lambda connection: _add_hold(connection, hold, audit))

    async def remove_hold(self, account_id: str, run_id: str, audit: AuditEntry) -> bool:
        """See ``Maintenance.remove_hold``."""

        def remove(connection: sqlite3.Connection) -> bool:
            named = {"account_id": account_id, "id": run_id}
            if not connection.execute(_SQL["hold.remove"], named).rowcount:
                return False
            connection.execute(_SQL["audit.add"], audit)
            return True

        return await self._on_writer(remove)


def _add_hold(connection: sqlite3.Connection, hold: LegalHold, audit: AuditEntry) -> bool:
    named = {"account_id": hold.account_id, "id": hold.agent_instance_id}
    if connection.execute(_SQL["hold.run"], named).fetchone() is None:
        return False
    connection.execute(_SQL["hold.add"], hold)
    connection.execute(_SQL["audit.add"], audit)
    return True


def _status(connection: sqlite3.Connection) -> DatabaseStatus:
    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    (schema_version,) = connection.execute("SELECT max(version) FROM migration").fetchone()
    disk = os.statvfs(path.parent)
    return DatabaseStatus(
        kind="SQLite",
        version=sqlite3.sqlite_version,
        schema_version=schema_version,
        size_bytes=sum(_size(f"{one}{end}") for one in (path, search_path(path)) for end in _FILES),
        free_disk_bytes=disk.f_bavail * disk.f_frsize,
    )


def _size(path: str) -> int:
    # Logs and the search index may disappear meanwhile.
    with suppress(FileNotFoundError):
        return Path(path).stat().st_size
    return 0


def _touch(connection: sqlite3.Connection) -> None:
    # Committed, because a full or read-only disk shows only when the log is written.
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version}")
