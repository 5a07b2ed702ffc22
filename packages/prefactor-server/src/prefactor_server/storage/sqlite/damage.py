"""Detects a damaged database, cheaply enough for a probe."""

from __future__ import annotations

import sqlite3
from typing import Final

from prefactor_server.storage.sqlite.connection import damaged

# About five milliseconds: a probe reads a database of up to 4 MB completely.
_WHOLE_PAGES: Final = 1000
_TREES: Final = """
SELECT name, sql LIKE '%WITHOUT ROWID%' FROM sqlite_schema
WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
"""
_PRIMARY_KEY: Final = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"


def check_readable(connection: sqlite3.Connection) -> None:
    """Read all of a small database, or both ends of each large table.

    Raises:
        DatabaseDamaged: the data is corrupt.
        sqlite3.DatabaseError: it cannot be read.
    """
    # Cached pages would hide damage of the file.
    connection.execute("PRAGMA shrink_memory")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if pages <= _WHOLE_PAGES:
        check_every_page(connection)
        return
    for table, has_no_rowid in connection.execute(_TREES).fetchall():
        key = ["rowid"]
        if has_no_rowid:
            key = [name for (name,) in connection.execute(_PRIMARY_KEY, (table,))]
        for order in ("ASC", "DESC"):
            by = ", ".join(f"{column} {order}" for column in key)
            end = f'SELECT * FROM "{table}" ORDER BY {by} LIMIT 1'  # noqa: S608 - a table of ours
            connection.execute(end).fetchall()


def check_every_page(connection: sqlite3.Connection) -> None:
    """Read every page, which takes some seconds per gigabyte.

    Raises:
        DatabaseDamaged: a page is corrupt.
        sqlite3.DatabaseError: one cannot be read.
    """
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise damaged()
