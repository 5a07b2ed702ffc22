"""Migrations of a PostgreSQL database, and the write function of each server version."""

import asyncio

import asyncpg
import pytest
from postgres_database import PostgresDatabase

from postgres_server import PostgresServer
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.errors import SettingError
from prefactor_server.storage.feed_rows import FeedRow
from prefactor_server.storage.migration import MigrationError
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.connection import DatabaseServerError, connect
from prefactor_server.storage.postgres.migrate import all_migrations, migrate, pending_migrations
from prefactor_server.storage.postgres.tables import ATTACHMENTS, COUNTERS, TABLES, column_types
from prefactor_server.storage.postgres.write_function import write_function

COLUMNS = """
SELECT column_name, data_type FROM information_schema.columns
WHERE table_name = $1 AND table_schema = 'public'
"""


async def test_a_dry_run_changes_nothing(empty_url: str) -> None:
    """A dry run reports the migrations without running them; then they run once."""
    connection = await connect(empty_url)

    assert await pending_migrations(connection) == all_migrations()
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relname = 'account'") == 0
    assert await migrate(connection) == all_migrations()
    assert await pending_migrations(connection) == []
    assert await migrate(connection) == []
    await connection.close()


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("UPDATE migration SET checksum = 'another'", "must never be edited"),
        ("INSERT INTO migration VALUES (9999, 'later', 'c', 1)", "a newer version applied it"),
    ],
    ids=["edited", "newer"],
)
async def test_another_history_is_refused(
    sql: str, complaint: str, database: PostgresDatabase
) -> None:
    """A database of a newer or edited server is left alone, with a clear message."""
    await database.rows(sql)

    with pytest.raises(MigrationError, match=complaint):
        await database.open()


async def test_a_failed_migration_leaves_nothing(empty_url: str) -> None:
    """A migration that fails half-way is rolled back, and the next start can try again."""
    connection = await asyncpg.connect(empty_url)
    await connection.execute("CREATE TABLE audit_entry (in_the_way text)")

    with pytest.raises(asyncpg.DuplicateTableError):
        await PostgresStorage.open(empty_url)

    assert await connection.fetchval("SELECT to_regclass('account')") is None
    await connection.execute("DROP TABLE audit_entry")
    await connection.close()
    storage = await PostgresStorage.open(empty_url)
    await storage.close()


async def test_the_tables_have_the_columns_of_the_rows(database: PostgresDatabase) -> None:
    """Every field of every row has a column of its type, and there are no other columns."""
    names = {"text": 'text COLLATE "C"'}
    kinds = {table.name: table.kind for table in TABLES} | dict(ATTACHMENTS)
    for name, kind in kinds.items():
        found = {
            column: names.get(data_type, data_type)
            for column, data_type in await database.rows(COLUMNS, name)
        }
        versioned = {table.name: table.versioned for table in TABLES}.get(name, False)

        assert found.pop("revision", None) == ("bigint" if versioned else None)
        if kind is FeedRow:
            # Only the database knows the position of a commit.
            assert (found.pop("position"), found.pop("at")) == ("bigint", "bigint")
        if kind is AuditEntry:
            # The database numbers it when it is stored.
            assert found.pop("id") == 'text COLLATE "C"'
        assert found == column_types(kind)


async def test_the_counters_are_the_counts_of_a_run() -> None:
    """Every counter of a run's spans is incremented, and no other column is."""
    (run,) = (table for table in TABLES if table.name == "agent_instance")

    assert set(COUNTERS) == {column for column in run.columns if column.endswith("_spans")}
    assert not set(COUNTERS) & set(run.mutable)


async def test_texts_compare_by_byte(database: PostgresDatabase) -> None:
    """No column of text depends on the machine's locale."""
    loose = await database.rows(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class AS class "
        "ON class.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
        "AND atttypid = 'text'::regtype AND attcollation <> 'pg_catalog.\"C\"'::regcollation "
        "AND relname <> 'migration'"
    )

    assert loose == []


async def test_servers_of_two_versions_write_side_by_side(database: PostgresDatabase) -> None:
    """The function of one version stays in place when another version adds its own."""
    mine = write_function().schema
    await database.rows(f"ALTER SCHEMA {mine} RENAME TO prefactor_write_of_another_version")

    storage = await database.open()
    await storage.close()

    found = await database.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%write%'")
    assert sorted(found) == sorted([(mine,), ("prefactor_write_of_another_version",)])


async def test_an_unusable_address() -> None:
    """An unreadable or unreachable address is reported with the name of its setting."""
    with pytest.raises(SettingError, match="--database"):
        await PostgresStorage.open("postgresql://host:not-a-port/name")
    with pytest.raises(DatabaseServerError, match="--database") as raised:
        await PostgresStorage.open("postgresql://me:secret@/name?host=/nowhere")

    assert "secret" not in str(raised.value)


async def test_a_connection_pooler() -> None:
    """A pooler that refuses the settings of a session is named, with what to connect to instead."""
    refusal = b"SFATAL\0C08P01\0Munsupported startup parameter: jit\0\0"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(b"E" + (len(refusal) + 4).to_bytes(4) + refusal)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as pooler:
        port = pooler.sockets[0].getsockname()[1]
        with pytest.raises(DatabaseServerError, match="address of PostgreSQL itself"):
            await PostgresStorage.open(f"postgresql://me@127.0.0.1:{port}/name?sslmode=disable")


async def test_an_encoding_that_loses_text(server: PostgresServer) -> None:
    """A database that cannot keep every text is refused, with what to do."""
    server.run(*["createdb", "--encoding", "SQL_ASCII", "--template", "template0", "ascii"])

    with pytest.raises(DatabaseServerError, match="ENCODING 'UTF8'"):
        await PostgresStorage.open(server.url("ascii"))
