"""Every backend, for tests of a contract that is the same over each of them.

Creating a database takes longer than most tests: PostgreSQL copies a template in 80 ms, and
migrating a new file takes 10. So each process migrates one of each kind. The file is then copied.
The database on a server is emptied row by row, which takes 2 ms; TRUNCATE takes 50, because it
makes a file for every table and index.
"""

import asyncio
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from postgres_server import PostgresServer
from prefactor_server.databases import OpenStorage, database_path, is_on_server
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.sqlite.backend import SqliteStorage

BACKENDS = ("sqlite", "postgresql")

# A killed server may have left an open transaction with its locks. The tables are queried rather
# than listed here, so that a new migration needs no change.
_EMPTY = """
DO $$
DECLARE
    found regclass;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL lock_timeout = '20s';
    SET LOCAL session_replication_role = replica;
    FOR found IN
        SELECT oid FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
            AND relname <> 'migration'
    LOOP
        EXECUTE 'DELETE FROM ' || found;
    END LOOP;
END
$$
"""


async def open_storage(url: str, **options: Any) -> OpenStorage:
    """The storage of one server on a database, its schema brought up to date."""
    if is_on_server(url):
        return await PostgresStorage.open(url, **options)
    return SqliteStorage.open(database_path(url), min_free_disk_bytes=0, **options)


def migrate(url: str) -> None:
    """Bring a database's schema up to date."""
    asyncio.run(_migrate(url))


async def _migrate(url: str) -> None:
    await (await open_storage(url)).close()


class SharedDatabase:
    """A database on a server that tests use one after the other."""

    def __init__(self, server: PostgresServer) -> None:
        self.url = server.create_database("shared")
        migrate(self.url)
        # A connection knows the tables after it has emptied them once, which saves 20 ms each time.
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(self.url))

    def empty(self) -> None:
        """End all other sessions, and delete every row but the record of migrations."""
        self._runner.run(self._connection.execute(_EMPTY))

    def close(self) -> None:
        """Close the connection that empties it."""
        self._runner.run(self._connection.close())
        self._runner.close()


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query or change that runs directly on the database."""
    return asyncio.run(_rows(url, sql))


async def _rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    if is_on_server(url):
        connection = await asyncpg.connect(url)
        try:
            return [tuple(record) for record in await connection.fetch(sql)]
        finally:
            await connection.close()
    with closing(sqlite3.connect(database_path(url))) as file, file:
        return file.execute(sql).fetchall()


@contextmanager
def writes_held(url: str) -> Generator[None]:
    """Block the writes of spans of every server until the end of the block; reads work."""
    if is_on_server(url):
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(url))
            hold = "BEGIN; LOCK TABLE agent_span IN EXCLUSIVE MODE"
            runner.run(connection.execute(hold))
            try:
                yield
            finally:
                runner.run(connection.close())
        return
    with closing(sqlite3.connect(database_path(url))) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def migrated_file(folder: Path) -> Path:
    """A database file to start from copies of."""
    path = folder / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path
