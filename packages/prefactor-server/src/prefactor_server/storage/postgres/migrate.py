"""Migrates a PostgreSQL database to this version's schema, one migration per transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.storage.migration import Migration, discover, plan
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.feed import raise_shift
from prefactor_server.storage.postgres.upkeep import partitions
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
# An arbitrary number that all servers share. The lock is taken before the transactions that it
# protects, not in them: only a transaction that begins after another one's commit is sure to see
# the tables that the other one created.
_LOCK: Final = "SELECT pg_advisory_lock(6213795104)"
_NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_UNLOCK: Final = "SELECT pg_advisory_unlock(6213795104)"


def all_migrations() -> Sequence[Migration]:
    """Return all migrations."""
    return discover(_PACKAGE)


async def pending_migrations(connection: Connection) -> Sequence[Migration]:
    """Return the migrations that the database lacks, without applying them.

    Raises:
        MigrationError: the database is newer than this server, or its history differs.
    """
    return plan(all_migrations(), await _applied(connection))


async def migrate(connection: Connection) -> Sequence[Migration]:
    """Apply and return the migrations that the database lacks. Safe on several servers at once.

    Raises:
        MigrationError: the database is newer than this server, or its history differs.
    """
    await connection.execute(_LOCK)
    try:
        pending = await pending_migrations(connection)
        for migration in pending:
            async with connection.transaction():
                await _apply(connection, migration)
        await _install_write_function(connection)
        await raise_shift(connection)
        await partitions.begin(connection, await connection.fetchval(_NOW))
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
        await connection.fetchval(_NOW),
    )


async def _install_write_function(connection: Connection) -> None:
    # The functions of other versions stay, because servers of those versions may still run.
    function = write_function()
    if await connection.fetchval("SELECT to_regnamespace($1)", function.schema) is None:
        async with connection.transaction():
            await connection.execute(function.script)
