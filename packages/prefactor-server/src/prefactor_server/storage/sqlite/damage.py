"""Detects a damaged database, cheaply enough for a probe."""

from __future__ import annotations

import sqlite3
from typing import Final

from prefactor_server.storage.sqlite.connection import damaged

# About five milliseconds: a probe reads a database of up to 4 MB completely.
_WHOLE_PAGES: Final = 1000
_TREES: Final = """
SELECT DISTINCT tbl_name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
"""


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
    for (table,) in connection.execute(_TREES).fetchall():
        for order in ("ASC", "DESC"):
            newest = f'SELECT * FROM "{table}" ORDER BY rowid {order} LIMIT 1'  # noqa: S608 - a table of ours
            connection.execute(newest).fetchall()


def check_every_page(connection: sqlite3.Connection) -> None:
    """Read every page, which takes some seconds per gigabyte.

    Raises:
        DatabaseDamaged: a page is corrupt.
        sqlite3.DatabaseError: one cannot be read.
    """
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise damaged()
