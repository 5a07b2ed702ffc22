"""The search index, in a separate file next to the database file.

All of it is derived. A file that is missing, damaged or in another format is created again and
filled from the change feed. The database file itself is never opened here.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar, cast

from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.search.index import (
    NAME,
    Matches,
    SearchDocument,
    first_of_each_run,
)
from prefactor_server.domain.search.text import SpanText
from prefactor_server.domain.search.words import Term, words_in
from prefactor_server.storage.feed import ConsumerState, Deleted, Derived
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.search_blocks import BlockWriter, SpanWords, matching_spans
from prefactor_server.storage.sqlite.threads import Threads

T = TypeVar("T")

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "search.sql")
_FORMAT: Final = 4
_BUSY_TIMEOUT_MS: Final = 5000
_ENDINGS: Final = ("", "-wal", "-shm")


def search_path(database: Path) -> Path:
    """Return the path of the search index of a database file."""
    return database.with_name(database.name + ".search")


class SqliteSearch:
    """See ``SearchIndex`` and ``StateStore``. The file is opened on first use.

    One thread reads and writes it, so no search waits for the database's writer.
    """

    def __init__(self, path: Path, *, min_free_disk_bytes: int) -> None:
        self._path = path
        self._min_free_disk_bytes = min_free_disk_bytes
        self._thread = Threads(1, "sqlite-search")
        self._connection: sqlite3.Connection | None = None

    @property
    def store(self) -> SqliteSearch:
        """See ``SearchIndex.store``: the file contains the words and the state."""
        return self

    def document(
        self, key: tuple[str, str, str], text: SpanText, scopes: tuple[str, ...]
    ) -> SpanWords:
        """See ``SearchIndex.document``: the index splits ASCII text itself, in the same way."""
        words = text.text if text.text.isascii() else " ".join(words_in(text.text))
        return (*key, "1" if text.is_cut else "0", words, _joined(scopes))

    async def find(self, account_id: str, terms: Sequence[Term], scopes: Sequence[str]) -> Matches:
        """See ``SearchIndex.find``."""
        query = _match(terms, scopes)

        def find(connection: sqlite3.Connection) -> Matches:
            # A query that was not read to its end would keep the WAL from being truncated.
            with closing(matching_spans(connection, query, account_id)) as spans:
                return first_of_each_run(spans)

        return await self._run(find)

    async def state(self) -> ConsumerState | None:
        """See ``SearchIndex.state``."""
        return (await self.states()).get(NAME)

    async def some(self, limit: int) -> Sequence[Deleted]:
        """See ``SearchIndex.some``; deletes everything at once."""
        del limit
        (number,) = await self._run(
            lambda connection: connection.execute(_SQL["block.any"]).fetchone()
        )
        return [Deleted(SearchDocument, ())] if number else []

    async def states(self) -> Mapping[str, ConsumerState]:
        """See ``StateStore.states``."""
        records = await self._run(
            lambda connection: connection.execute(_SQL["consumer.all"]).fetchall()
        )
        return {name: ConsumerState(name, *rest) for name, *rest in records}

    async def begin(self, state: ConsumerState) -> ConsumerState:
        """See ``StateStore.begin``."""
        await self._run(
            lambda connection: _in_transaction(
                connection, lambda: connection.execute(_SQL["consumer.begin"], state)
            )
        )
        return (await self.states())[state.consumer]

    async def advance(
        self, before: ConsumerState, after: ConsumerState, derived: Derived
    ) -> ConsumerState | None:
        """See ``StateStore.advance``."""
        self._check_free_disk()
        return await self._run(
            lambda connection: _in_transaction(
                connection, lambda: _advance(connection, before, after, derived)
            )
        )

    async def close(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._thread.close()
        if self._connection is not None:
            self._connection.close()

    def _check_free_disk(self) -> None:
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < self._min_free_disk_bytes:
            raise Unavailable("The server's disk is nearly full: the search index waits for space")

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            try:
                return work(self._opened())
            except sqlite3.DatabaseError as error:
                # An unreadable index is rebuilt, because everything in it is derived.
                self._discard_if_damaged(error)
                raise Unavailable(
                    f"The search index {self._path} cannot be used now ({error}): send it again"
                ) from error

        return await self._thread.run(run)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None or not self._path.exists():
            self._drop_connection()
            self._connection = _open(self._path)
        return self._connection

    def _discard_if_damaged(self, error: sqlite3.DatabaseError) -> None:
        code: int = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self._drop_connection()
            _delete(self._path)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _open(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError:
        found = -1
    if found == _FORMAT:
        return connection
    if found:
        connection.close()
        _delete(path)
        connection = _connect(path)
    _in_transaction(connection, lambda: _create(connection))
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # It contains words of prompts and answers, so only the owner may read the file.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    with suppress(sqlite3.DatabaseError):
        connection.execute("PRAGMA journal_mode = WAL")
    # A commit lost in a power failure is derived again, from the state before it.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def _create(connection: sqlite3.Connection) -> None:
    for name in ("create.block", "create.run", "create.consumer"):
        connection.execute(_SQL[name])
    connection.execute(f"PRAGMA user_version = {_FORMAT}")


def _delete(path: Path) -> None:
    for ending in _ENDINGS:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _in_transaction(connection: sqlite3.Connection, work: Callable[[], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _advance(
    connection: sqlite3.Connection, before: ConsumerState, after: ConsumerState, derived: Derived
) -> ConsumerState | None:
    moved = connection.execute(
        _SQL["consumer.advance"],
        {
            "name": before.consumer,
            "revision": before.revision,
            "position": after.position,
            "backfill": after.backfill,
        },
    )
    if not moved.rowcount:
        return None
    keys = [deleted.key for deleted in derived.deleted]
    writer = BlockWriter(connection)
    if () in keys:
        writer.delete_all()
    writer.delete([key for key in keys if key])
    writer.put(cast("Sequence[SpanWords]", derived.upserted))
    writer.write()
    return after._replace(revision=before.revision + 1)


@lru_cache(maxsize=1024)
def _joined(scopes: tuple[str, ...]) -> str:
    """Return one object for the scopes of all spans of a run, which is encoded once."""
    return " ".join(scopes)


def _match(terms: Sequence[Term], scopes: Sequence[str]) -> str:
    """Return the FTS5 query. Letters and digits need no escaping."""
    words = [f'"{term.word}"{" *" if term.is_prefix else ""}' for term in terms]
    return " AND ".join([*words, *(f'"{scope}"' for scope in scopes)])
