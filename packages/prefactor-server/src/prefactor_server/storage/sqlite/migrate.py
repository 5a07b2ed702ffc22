"""Migrates a database file to this version's schema, one migration per transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prefactor_server.storage.clock import now_us
from prefactor_server.storage.migration import Migration, MigrationError, discover, plan

_PACKAGE: Final = "prefactor_server.storage.sqlite.migrations"

_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS migration (
    version    INTEGER NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT
"""


def all_migrations() -> Sequence[Migration]:
    """Return all migrations."""
    return discover(_PACKAGE)


def pending_migrations(connection: sqlite3.Connection) -> Sequence[Migration]:
    """Return the migrations that the database lacks, without applying them.

    Raises:
        MigrationError: the database is newer than this server, or its history differs.
    """
    return plan(all_migrations(), _applied(connection))


def migrate(connection: sqlite3.Connection) -> Sequence[Migration]:
    """Apply and return the migrations that the database lacks.

    Raises:
        MigrationError: the database is newer than this server or has another history, or a step
            failed; then nothing of that step was applied.
    """
    done: list[Migration] = []
    while pending := pending_migrations(connection):
        step = pending[0]
        try:
            _apply(connection, step)
        except sqlite3.Error as error:
            raise MigrationError(
                f"Migration {step.version} ({step.name}) failed and was rolled back: {error}."
            ) from error
        done.append(step)
    return done


def _applied(connection: sqlite3.Connection) -> Mapping[int, str]:
    history = connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'"
    ).fetchone()
    if history is None:
        return {}
    return dict(connection.execute("SELECT version, checksum FROM migration"))


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_CREATE_HISTORY)
        # Another process may have applied it while this one waited for the lock.
        if migration.version not in _applied(connection):
            for statement in _statements(migration.sql):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO migration (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
                (
                    migration.version,
                    migration.name,
                    migration.checksum,
                    now_us(),
                ),
            )
        connection.execute("COMMIT")
    except BaseException:
        # Some errors end the transaction by themselves.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    # executescript() would commit the transaction around the migration.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
