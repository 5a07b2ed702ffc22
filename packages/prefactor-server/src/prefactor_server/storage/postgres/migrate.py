"""Bringing a database to this version's schema, one migration per transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.storage.migration import Migration, discover, plan
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.feed import raise_shift
from prefactor_server.storage.postgres.write_function import write_function

_PACKAGE: Final = "prefactor_server.storage.postgres.migrations"

_CREATE_HISTORY: Final = """
CREATE TABLE IF NOT EXISTS migration (
    version    bigint NOT NULL PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at bigint NOT NULL
)
"""
_RECORD: Final = (
    "INSERT INTO migration (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)"
)
# One number for all servers, of no meaning beyond that. The lock is taken before the transactions
# that it protects, not in them: only a transaction that begins after another's commit is sure to
# know of the tables that the other made.
_LOCK: Final = "SELECT pg_advisory_lock(6213795104)"
_UNLOCK: Final = "SELECT pg_advisory_unlock(6213795104)"


def all_migrations() -> Sequence[Migration]:
    """What a new database needs."""
    return discover(_PACKAGE)


async def pending_migrations(connection: Connection) -> Sequence[Migration]:
    """What the database still needs; it is not changed.

    Raises:
        MigrationError: the database is newer than this server, or has another history.
    """
    return plan(all_migrations(), await _applied(connection))


async def migrate(connection: Connection) -> Sequence[Migration]:
    """Apply what the database still needs, and return it. Several servers may do so at a time.

    Raises:
        MigrationError: the database is newer than this server, or has another history.
    """
    await connection.execute(_LOCK)
    try:
        pending = await pending_migrations(connection)
        for migration in pending:
            async with connection.transaction():
                await _apply(connection, migration)
        await _install_write_function(connection)
        await raise_shift(connection)
    finally:
        await connection.execute(_UNLOCK)
    return pending


async def _applied(connection: Connection) -> Mapping[int, str]:
    if await connection.fetchval("SELECT to_regclass('migration')") is None:
        return {}
    records = await connection.fetch("SELECT version, checksum FROM migration")
    return {version: checksum for version, checksum in records}  # noqa: C416 - dict() loses types


async def _apply(connection: Connection, migration: Migration) -> None:
    await connection.execute(_CREATE_HISTORY)
    await connection.execute(migration.sql)
    await connection.execute(
        _RECORD,
        migration.version,
        migration.name,
        migration.checksum,
        time.time_ns() // 1000,
    )


async def _install_write_function(connection: Connection) -> None:
    # Those of other versions stay: servers that run them may still be there.
    function = write_function()
    if await connection.fetchval("SELECT to_regnamespace($1)", function.schema) is None:
        async with connection.transaction():
            await connection.execute(function.script)
