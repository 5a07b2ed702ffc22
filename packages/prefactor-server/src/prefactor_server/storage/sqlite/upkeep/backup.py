"""Copies a database file that may be in use."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from prefactor_server.storage.backup import BackupError, new_file


def back_up_file(source: Path, target: Path) -> None:
    """Write a consistent copy of a database to a new file, and check the copy.

    Raises:
        BackupError: the copy failed, or is damaged.
    """
    with new_file(target) as draft:
        try:
            _copy(source, draft)
            _check(draft)
        except sqlite3.Error as error:
            raise BackupError(f"Cannot copy {source}: {error}") from error


def _copy(source: Path, draft: Path) -> None:
    with closing(_opened(source, "mode=ro")) as original, closing(sqlite3.connect(draft)) as copy:
        # All pages in one step: several steps would start again after every write of the server.
        # One step blocks nobody, because writers append to the log meanwhile.
        original.backup(copy)
        # The copy is a single file, without a log next to it.
        copy.execute("PRAGMA journal_mode = DELETE")


def _check(draft: Path) -> None:
    with closing(_opened(draft, "mode=ro&immutable=1")) as copy:
        found = [line for (line,) in copy.execute("PRAGMA integrity_check")]
        if found != ["ok"]:
            raise BackupError(f"The copy is damaged, and so is the database: {found[0]}")
        (tables,) = copy.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'migration'"
        ).fetchone()
        if not tables:
            raise BackupError("The file was not created by prefactor-server: check --database")


def _opened(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)
