"""The word index, in a separate file next to the database file.

All of it is derived: a file that is missing, damaged or in another format is recreated and then
filled from the change feed. The database file itself is never opened here.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.search.index import (
    MAX_SPANS,
    NAME,
    Match,
    Matches,
    SearchDocument,
    first_of_each_run,
)
from prefactor_server.domain.search.words import Term, words_in
from prefactor_server.payloads import decode_document, encode_document
from prefactor_server.storage.feed import ConsumerState, Deleted, Derived
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.statements import Statement

T = TypeVar("T")

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "search.sql")
_ADD_DOCUMENTS: Final = Statement(7, _SQL["document.add"])
_ADD_WORDS: Final = Statement(2, _SQL["word.add"])
_FORMAT: Final = 1
_BUSY_TIMEOUT_MS: Final = 5000
_ENDINGS: Final = ("", "-wal", "-shm")


def search_path(database: Path) -> Path:
    """Return the path of the word index of a database file."""
    return database.with_name(database.name + ".search")


class SqliteSearch:
    """See ``SearchIndex`` and ``SearchStore``. The file is opened on first use.

    One thread reads and writes it, so no search waits for the database's writer.
    """

    def __init__(self, path: Path, *, min_free_disk_bytes: int) -> None:
        self._path = path
        self._min_free_disk_bytes = min_free_disk_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-search")
        self._connection: sqlite3.Connection | None = None

    @property
    def store(self) -> SqliteSearch:
        """See ``SearchIndex.store``: the file contains the words and the state."""
        return self

    def words(self, text: str, scopes: Collection[str]) -> str:
        """See ``SearchIndex.words``: the index splits ASCII text itself, in the same way."""
        return " ".join((text if text.isascii() else " ".join(words_in(text)), *scopes))

    async def find(self, account_id: str, terms: Sequence[Term], scopes: Sequence[str]) -> Matches:
        """See ``SearchIndex.find``."""
        parameters = {
            "query": _match(terms, scopes),
            "account_id": account_id,
            "limit": MAX_SPANS,
        }

        def find(connection: sqlite3.Connection) -> Matches:
            found = connection.execute(_SQL["search.find"], parameters)
            return first_of_each_run(
                Match(run_id, span_id, bool(is_cut)) for run_id, span_id, is_cut in found
            )

        return await self._run(find)

    async def state(self) -> ConsumerState | None:
        """See ``SearchIndex.state``."""
        return (await self.states()).get(NAME)

    async def some(self, limit: int) -> Sequence[Deleted]:
        """See ``SearchIndex.some``; deletes everything at once."""
        del limit
        (number,) = await self._run(lambda connection: _row(connection, "document.any"))
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
        self._thread.shutdown()
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

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

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
    for name in ("create.document", "create.span", "create.word", "create.consumer"):
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
    for deleted in derived.deleted:
        _remove(connection, deleted.key)
    _put_all(connection, [SearchDocument(*document) for document in derived.upserted])
    return after._replace(revision=before.revision + 1)


def _remove(connection: sqlite3.Connection, key: Sequence[Any]) -> None:
    if not key:
        for name in ("word.delete_all", "document.delete_all"):
            connection.execute(_SQL[name])
        return
    of_span = "document.of_span" if len(key) > len(("account_id", "run_id")) else "document.of_run"
    for number, codec, words in connection.execute(_SQL[of_span], key).fetchall():
        _forget_words(connection, number, codec, words)
        connection.execute(_SQL["document.delete"], (number,))


def _put_all(connection: sqlite3.Connection, documents: Sequence[SearchDocument]) -> None:
    (last,) = _row(connection, "document.last")
    numbered = list(enumerate(documents, last + 1))
    before = connection.total_changes
    _ADD_DOCUMENTS.run(
        connection,
        [
            (number, *document[:4], *encode_document(document.words.encode()))
            for number, document in numbered
        ],
    )
    if connection.total_changes - before < len(documents):
        added = {number for (number,) in connection.execute(_SQL["document.after"], (last,))}
        for number, document in numbered:
            if number not in added:
                _change(connection, document)
        numbered = [one for one in numbered if one[0] in added]
    _ADD_WORDS.run(connection, [(number, document.words) for number, document in numbered])


def _change(connection: sqlite3.Connection, document: SearchDocument) -> None:
    number, codec, body = _row(connection, "document.of_span", document[:3])
    _forget_words(connection, number, codec, body)
    encoded = encode_document(document.words.encode())
    connection.execute(_SQL["document.change"], (document.is_cut, *encoded, number))
    _ADD_WORDS.run(connection, [(number, document.words)])


def _forget_words(connection: sqlite3.Connection, number: int, codec: int, body: bytes) -> None:
    # Deleting from a contentless index needs the words of the row.
    connection.execute(_SQL["word.delete"], (number, decode_document(codec, body).decode()))


def _row(connection: sqlite3.Connection, name: str, values: Sequence[Any] = ()) -> Any:
    return connection.execute(_SQL[name], values).fetchone()


def _match(terms: Sequence[Term], scopes: Sequence[str]) -> str:
    """Return the FTS5 query. Letters and digits need no escaping."""
    words = [f'"{term.word}"{" *" if term.is_prefix else ""}' for term in terms]
    return " AND ".join([*words, *(f'"{scope}"' for scope in scopes)])
