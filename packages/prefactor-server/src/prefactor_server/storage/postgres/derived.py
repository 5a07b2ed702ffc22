"""Writes rows derived from the change feed to PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from prefactor_server.storage.derived import DERIVED, Kind, by_key, by_kind
from prefactor_server.storage.feed import Deleted, Derived
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.tables import column_types


async def write_derived(connection: Connection, derived: Derived) -> None:
    """Write the rows derived from a slice, within its transaction."""
    for (kind, length), keys in by_key(derived.deleted).items():
        await connection.execute(_delete(kind, length), *zip(*keys, strict=True))
    for kind, rows in by_kind(derived.upserted):
        await connection.execute(_insert(kind, DERIVED[kind].or_replace), *zip(*rows, strict=True))
    for kind, rows in by_kind(derived.added):
        await connection.execute(_insert(kind, DERIVED[kind].or_add), *zip(*rows, strict=True))


async def some_derived(kind: type[Any], limit: int, connection: Connection) -> list[Deleted]:
    """Return deletions of some rows of a kind."""
    table = DERIVED[kind]
    query = f"SELECT {', '.join(table.identity)} FROM {table.name} LIMIT $1"  # noqa: S608 - our own names
    return [Deleted(kind, tuple(key)) for key in await connection.fetch(query, limit)]


@cache
def _delete(kind: Kind, length: int) -> str:
    """Return the statement that deletes rows by the first values of their identity."""
    table = DERIVED[kind]
    columns = table.identity[:length]
    named = _unnested(kind, columns)
    return f"DELETE FROM {table.name} WHERE ({', '.join(columns)}) IN ({named})"  # noqa: S608


@cache
def _insert(kind: Kind, on_conflict: str) -> str:
    table = DERIVED[kind]
    rows = _unnested(kind, table.columns)
    return f"INSERT INTO {table.name} ({', '.join(table.columns)}) {rows} {on_conflict}"


def _unnested(kind: Kind, columns: Sequence[str]) -> str:
    """Return the query for the rows in an array for each column."""
    types = column_types(kind)
    arrays = ", ".join(f"${place}::{types[column]}[]" for place, column in enumerate(columns, 1))
    arrays = arrays.replace(' COLLATE "C"', "")
    return f"SELECT * FROM unnest({arrays})"  # noqa: S608
