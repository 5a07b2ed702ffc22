"""Writes rows derived from the change feed to SQLite."""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import Any

from prefactor_server.storage.derived import DERIVED, Kind, by_key, by_kind
from prefactor_server.storage.feed import Deleted, Derived
from prefactor_server.storage.sqlite.statements import Statement


def write_derived(connection: sqlite3.Connection, derived: Derived) -> None:
    """Write the rows derived from a slice, within its transaction."""
    for (kind, length), keys in by_key(derived.deleted).items():
        table = DERIVED[kind]
        found = " AND ".join(f"{column} = ?" for column in table.identity[:length])
        connection.executemany(f"DELETE FROM {table.name} WHERE {found}", keys)  # noqa: S608 - our own names
    for kind, rows in by_kind(derived.upserted):
        _insert(kind, DERIVED[kind].or_replace).run(connection, rows)
    for kind, rows in by_kind(derived.added):
        _insert(kind, DERIVED[kind].or_add).run(connection, rows)


def some_derived(connection: sqlite3.Connection, kind: type[Any], limit: int) -> list[Deleted]:
    """Return deletions of some rows of a kind."""
    table = DERIVED[kind]
    query = f"SELECT {', '.join(table.identity)} FROM {table.name} LIMIT ?"  # noqa: S608
    return [Deleted(kind, tuple(key)) for key in connection.execute(query, (limit,))]


@cache
def _insert(kind: Kind, on_conflict: str) -> Statement:
    table = DERIVED[kind]
    columns = ", ".join(table.columns)
    return Statement(
        len(table.columns),
        f"INSERT INTO {table.name} ({columns}) VALUES {{rows}} {on_conflict}",  # noqa: S608
    )
