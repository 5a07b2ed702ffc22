"""The SQLite storage: one writer thread, a few reader threads, durable commits."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import CoroutineType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import (
    DatabaseDamaged,
    OutcomeUnknown,
    Unavailable,
)
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.storage.base import (
    Changes,
    Decide,
    Needs,
    R,
    Snapshot,
)
from prefactor_server.storage.clock import now_us
from prefactor_server.storage.feed import Derived
from prefactor_server.storage.feed_rows import FeedRow
from prefactor_server.storage.heartbeats import Heartbeats
from prefactor_server.storage.recent_spans import RecentSpans
from prefactor_server.storage.run_totals import RunTotals
from prefactor_server.storage.sqlite import read, risk
from prefactor_server.storage.sqlite.connection import (
    DatabaseFileError,
    FileLock,
    damaged,
    open_reader,
    open_writer,
    translated_errors,
)
from prefactor_server.storage.sqlite.damage import check_every_page
from prefactor_server.storage.sqlite.facets import SqliteFacets
from prefactor_server.storage.sqlite.feed import SqliteFeed, append
from prefactor_server.storage.sqlite.files import OpenFiles, check_free_disk
from prefactor_server.storage.sqlite.load import load
from prefactor_server.storage.sqlite.migrate import migrate
from prefactor_server.storage.sqlite.named_statements import SqliteStatements
from prefactor_server.storage.sqlite.search import SqliteSearch, search_path
from prefactor_server.storage.sqlite.series import SqliteSeries
from prefactor_server.storage.sqlite.threads import ReaderThreads, Threads
from prefactor_server.storage.sqlite.upkeep.maintenance import SqliteMaintenance
from prefactor_server.storage.sqlite.write import write
from prefactor_server.storage.webhooks import WebhookStorage

P = ParamSpec("P")
T = TypeVar("T")

_INSERT_ACCOUNT: Final = "INSERT INTO account VALUES (?, ?, ?, ?, ?)"
_FORGET_KEYS: Final = """
DELETE FROM idempotency_key WHERE rowid IN (
    SELECT rowid FROM idempotency_key WHERE inserted_at < :before ORDER BY inserted_at LIMIT :slice)
"""


def _read_method(
    read: Callable[Concatenate[sqlite3.Connection, P], T],
) -> Callable[Concatenate[SqliteStorage, P], CoroutineType[Any, Any, T]]:
    """Return a method of ``Storage`` that does a read on a reader thread."""

    async def method(self: SqliteStorage, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.on_reader(read, *args, **kwargs)

    # The type checkers name the type of a coroutine differently.
    return cast("Callable[Concatenate[SqliteStorage, P], CoroutineType[Any, Any, T]]", method)


class SqliteStorage:
    """One database file. The file's server holds ``lock`` until ``close``."""

    concurrency = 1
    """The number of batches that can be written at the same time."""
    standby = None

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        *,
        lock: FileLock | None,
        min_free_disk_bytes: int,
    ) -> None:
        self._path = path
        self._folder = str(path.parent)
        self._writer = writer
        self._lock = lock
        self._min_free_disk_bytes = min_free_disk_bytes
        # A single thread ensures a single writer.
        self._writing = Threads(1, "sqlite-writer")
        self._files = OpenFiles(path)
        self._readers = ReaderThreads(self._open_reader)
        self._recent = RecentSpans()
        self._is_damaged = False
        self.maintenance = SqliteMaintenance(self._maintain, self.on_reader, self._recent)
        totals = self._statements("run_totals.sql")
        self.run_totals = RunTotals(totals, totals, self._recent)
        self.facets = SqliteFacets(self.on_reader, self._recent)
        self.search = SqliteSearch(search_path(path), min_free_disk_bytes=min_free_disk_bytes)
        self.series = SqliteSeries(self._statements("series.sql"), self._recent)
        self.webhooks = WebhookStorage(self._statements("webhooks.sql"))
        self.heartbeats = Heartbeats(self._statements("heartbeats.sql"))
        self.feed = SqliteFeed(
            self._maintain, self.on_reader, self._readers.run_together, self._decide_derived
        )

    @classmethod
    def open(
        cls, path: Path, *, exclusive: bool = True, min_free_disk_bytes: int = 0
    ) -> SqliteStorage:
        """Open a database file, creating it if needed, and bring its schema up to date.

        Args:
            path: the file.
            exclusive: whether this is the file's server. There can be only one.
            min_free_disk_bytes: free space on the file's disk below which writes are refused.

        Raises:
            DatabaseFileError: the file is unusable, or in use by another server.
            MigrationError: a newer server wrote it, or its schema cannot be brought up to date.
        """
        # Readers open the file later, when the working directory may have changed.
        path = path.resolve()
        with ExitStack() as undo:
            lock = None
            if exclusive:
                lock = FileLock(path).acquire()
                undo.callback(lock.release)
            writer = open_writer(path)
            undo.callback(writer.close)
            try:
                migrate(writer)
            except sqlite3.DatabaseError as error:
                raise DatabaseFileError(f"Cannot use {path} as a database: {error}.") from error
            storage = cls(path, writer, lock=lock, min_free_disk_bytes=min_free_disk_bytes)
            undo.pop_all()
        return storage

    async def transact(self, needs: Mapping[str, Needs], decide: Decide[T]) -> T:
        """See ``Storage.transact``; the four steps run on the writer thread, in one transaction."""
        return await self._write(self._transact, needs, decide)

    async def create_account(
        self, account: Account, environment: Environment, token: ApiToken, audit: AuditEntry
    ) -> bool:
        """See ``Storage.create_account``."""
        return await self._write(self._create_account, account, environment, token, audit)

    async def forget_keys(self, before: int, slice_size: int) -> int:
        """See ``Storage.forget_keys``."""
        return await self._write(self._forget_keys, before, slice_size)

    accounts = _read_method(read.accounts)
    identifier_counts = _read_method(read.identifier_counts)
    current_versions = _read_method(read.current_versions)
    account = _read_method(read.account)
    token_by_hash = _read_method(read.token_by_hash)
    admin_users_by_email = _read_method(read.admin_users_by_email)
    tokens = _read_method(read.tokens)
    agent = _read_method(read.agent)
    agents = _read_method(read.agents)
    instance_counts = _read_method(read.instance_counts)
    instance = _read_method(read.instance)
    skeleton = _read_method(read.skeleton)
    instances = _read_method(read.instances)
    span = _read_method(read.span)
    spans_by_id = _read_method(read.spans_by_id)
    spans = _read_method(read.spans)
    span_usage = _read_method(risk.span_usage)
    risk_profiles_of = _read_method(risk.profiles_of)
    instances_of_agent = _read_method(risk.instances_of_agent)
    agent_types = _read_method(risk.agent_types)
    row = _read_method(read.row)
    rows = _read_method(read.rows)
    schema_content = _read_method(read.schema_content)

    async def rows_by_id(self, kind: type[R], account_id: str, ids: Collection[str]) -> Sequence[R]:
        """See ``Storage.rows_by_id``."""
        found: list[Any] = []
        if kind is AgentSpan:
            recent, ids = self._recent.find(account_id, tuple(ids))
            found += (one.span for one in recent)
        if ids:
            found += await self.on_reader(read.rows_by_id, kind, account_id, ids)
        return found

    async def close(self) -> None:
        """See ``Storage.close``."""
        try:
            await self.search.close()
        finally:
            await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _transact(self, needs: Mapping[str, Needs], decide: Decide[T]) -> T:
        decided, snapshots = self._in_transaction(lambda: self._load_decide_write(needs, decide))
        self._recent.keep(snapshots)
        return decided

    def _load_decide_write(
        self, needs: Mapping[str, Needs], decide: Decide[T]
    ) -> tuple[T, Mapping[str, Snapshot]]:
        snapshots = {
            account_id: load(self._writer, account_id, named) for account_id, named in needs.items()
        }
        decided = decide(snapshots)
        self._recent.withdraw(snapshots)
        rows: list[FeedRow] = []
        for account_id, snapshot in snapshots.items():
            rows += write(self._writer, account_id, snapshot)
        append(self._writer, rows, now_us())
        return decided, snapshots

    def _decide_derived(self, derived: Derived) -> None:
        if derived.decide is not None:
            self._load_decide_write(derived.needs, derived.decide)

    def _create_account(
        self, account: Account, environment: Environment, token: ApiToken, audit: AuditEntry
    ) -> bool:
        def create() -> bool:
            if read.accounts(self._writer):
                return False
            self._writer.execute(_INSERT_ACCOUNT, account)
            snapshot = Snapshot()
            snapshot.apply(Changes(inserted=(environment, token), audit=(audit,)))
            write(self._writer, account.id, snapshot)
            return True

        return self._in_transaction(create)

    def _forget_keys(self, before: int, slice_size: int) -> int:
        parameters = {"before": before, "slice": slice_size}
        return self._in_transaction(lambda: self._writer.execute(_FORGET_KEYS, parameters).rowcount)

    def _in_transaction(self, work: Callable[[], T]) -> T:
        self._check_files()
        check_free_disk(self._folder, self._min_free_disk_bytes)
        # IMMEDIATE, because a transaction that reads first could fail to get the write lock later.
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            result = work()
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        self._files.check_after_commit()
        return result

    def _check_files(self) -> None:
        """Reject a write that would be lost at the next start, or make damage worse."""
        if self._is_damaged:
            raise damaged()
        database_shrank, log_shrank = self._files.have_shrunk(self._files.check())
        if database_shrank or log_shrank:
            # SQLite itself truncates what it no longer needs. This reads the part of the log that
            # is still needed, and fails if it is gone. The database is truncated only by VACUUM.
            self._writer.execute("PRAGMA wal_checkpoint").fetchall()
        if database_shrank:
            check_every_page(self._writer)

    def _statements(self, file: str) -> SqliteStatements:
        return SqliteStatements(file, self._maintain, self.on_reader)

    async def _maintain(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._write(self._in_transaction, lambda: work(self._writer))

    async def _write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def run() -> T:
            return self._translated(lambda: work(*args, **kwargs))

        return await self._writing.run(run)

    async def on_reader(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return the result of a read, which is done on a reader thread."""

        def run() -> T:
            return self._translated(lambda: work(self._readers.connection(), *args, **kwargs))

        return await self._readers.run(run)

    def _translated(self, work: Callable[[], T]) -> T:
        """Do some work. If it fails because of the files' state, raise an error that says so."""
        try:
            with translated_errors():
                return work()
        except DatabaseDamaged:
            self._files.check()
            self._is_damaged = True
            raise
        except OutcomeUnknown:
            raise
        except (sqlite3.DatabaseError, Unavailable):
            # A missing file causes many different errors in SQLite.
            self._files.check()
            raise

    def _open_reader(self) -> sqlite3.Connection:
        # A reader of a replaced file would mix its pages with those of the writer's log.
        self._files.check()
        return open_reader(self._path)

    def _close(self) -> None:
        self._readers.close()
        self._writing.close()
        self._writer.close()
        if self._lock is not None:
            self._lock.release()
