"""Opens the database file: pragmas, the lock, and the translation of errors."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from prefactor_server.domain.errors import DatabaseDamaged, DatabaseUnusable, Unavailable
from prefactor_server.storage.migration import DatabaseError

_MIN_SQLITE_VERSION: Final = (3, 37)
_BUSY_TIMEOUT_MS: Final = 5000

# Without an adapter for None, Python's module raises and discards an internal error for each empty
# column, and a span has about ten. ``dict.get`` returns None without running Python code.
_NOTHING: Final[dict[None, None]] = {}
sqlite3.register_adapter(type(None), _NOTHING.get)


class DatabaseFileError(DatabaseError):
    """The database file cannot be used. The message says what to do."""


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the only connection that writes.

    Raises:
        DatabaseFileError: the file cannot be opened or is not a database.
    """
    if sqlite3.sqlite_version_info < _MIN_SQLITE_VERSION:
        raise DatabaseFileError(
            f"SQLite {sqlite3.sqlite_version} is too old: prefactor-server needs "
            f"{'.'.join(map(str, _MIN_SQLITE_VERSION))} or newer. Use a newer Python."
        )
    _check_folder(path)
    _create_private(path)
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise DatabaseFileError(f"Cannot open {path}: {error}.") from error
    try:
        _prepare_writer(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise DatabaseFileError(f"Cannot use {path} as a database: {error}.") from error
    except DatabaseFileError:
        connection.close()
        raise
    return connection


def _prepare_writer(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise DatabaseFileError(
            f"The file system of {path} cannot hold a write-ahead log: put the database on a local "
            "disk."
        )
    # An answered write must survive a power cut, not only the process. With many writes in a
    # commit, this costs next to nothing over NORMAL.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -65536")
    # 16 MB of log between checkpoints instead of four: under load the same pages change in batch
    # after batch, and are copied to their places less often.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    # A long-running reader must not leave a WAL file of gigabytes behind.
    connection.execute("PRAGMA journal_size_limit = 67108864")
    # On a read-only file, the server must not start, because it would refuse every write. Only a
    # write reveals it: even BEGIN IMMEDIATE succeeds.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("ROLLBACK")


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise DatabaseFileError(f"The folder {path.parent} does not exist: create it first.")
    if path.is_dir():
        raise DatabaseFileError(f"{path} is a folder: add the name of a file.")


def _create_private(path: Path) -> None:
    # Runs contain what people asked and agents answered, so only the file's owner may read it.
    # SQLite gives its other files the same mode. An existing file keeps the mode that its owner
    # chose.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a read-only connection, for one reader thread."""
    uri = f"file:{quote(str(path))}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only = ON")
    # No memory mapping, because truncating a mapped file kills the process with a signal.
    connection.execute("PRAGMA cache_size = -16384")
    return connection


class FileLock:
    """Ensures that only one server uses a database file.

    The lock is on a file next to the database, and ends with the process, even if that is killed.
    """

    def __init__(self, path: Path) -> None:
        # All paths that lead to a file share one lock.
        real = path.resolve()
        self._path = real.with_name(real.name + ".lock")
        self._descriptor = -1

    def acquire(self) -> Self:
        """Take the lock.

        Raises:
            DatabaseFileError: another process holds it (the message names its pid), or the lock
                cannot be written.
        """
        _check_folder(self._path)
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            self.release()
            raise DatabaseFileError(
                f"Another prefactor-server (pid {holder}) is using this database. Stop it first, "
                "or give this one another --database."
            ) from None
        except OSError as error:
            self.release()
            raise DatabaseFileError(f"Cannot write {self._path}: {error.strerror}.") from error
        return self

    def release(self) -> None:
        """Release the lock. The file stays, so that two servers never lock two different files."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def translated_errors() -> Generator[None]:
    """Translate SQLite's errors about its files into refusals that say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _refusal(error) from error


_DAMAGED: Final = (
    "The server's database is damaged: it can no longer be read as it was written, and accepts no "
    "writes. Stop the server, keep a copy of its files, and restore a backup"
)
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def damaged() -> DatabaseDamaged:
    """Return the error for a damaged database."""
    return DatabaseDamaged(_DAMAGED)


def _refusal(error: sqlite3.DatabaseError) -> Unavailable:
    # Errors raised by Python's module rather than by SQLite have no code.
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in _DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return damaged()
    if not isinstance(error, sqlite3.OperationalError):
        raise error
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        return DatabaseUnusable(
            "The server may not write its database: nothing was stored. Make the file and its "
            "folder writable, then restart the server"
        )
    return Unavailable(_explain(error, code & 0xFF))


def _explain(error: sqlite3.OperationalError, code: int) -> str:
    if code == sqlite3.SQLITE_FULL:
        return "The server's disk is full: nothing was stored. Free space, then send it again"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "The database is locked by another program: nothing was stored. Send it again"
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return "The server may not write its database: nothing was stored"
    if code == sqlite3.SQLITE_IOERR:
        return "The server's disk reports an error: nothing was stored"
    raise error
