"""Migrations: each runs once and atomically, and a different history is refused."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefactor_server.storage.migration import Migration, MigrationError, discover, plan
from prefactor_server.storage.sqlite import migrate as sqlite_migrate
from prefactor_server.storage.sqlite.backend import SqliteStorage
from prefactor_server.storage.sqlite.connection import open_reader, open_writer
from prefactor_server.storage.sqlite.migrate import all_migrations, migrate, pending_migrations

ONE = Migration(1, "one", "CREATE TABLE a (x);\nCREATE TABLE b (y);\n")
TWO = Migration(2, "two", "-- A comment; with a semicolon.\nINSERT INTO a VALUES (';');\n")
BROKEN = Migration(3, "broken", "CREATE TABLE c (z);\nINSERT INTO nowhere VALUES (1);\n")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty file, open for writing."""
    opened = open_writer(tmp_path / "prefactor.db")
    yield opened
    opened.close()


def known(monkeypatch: pytest.MonkeyPatch, *migrations: Migration) -> None:
    """Replace the server's migrations by these."""
    monkeypatch.setattr(sqlite_migrate, "all_migrations", lambda: migrations)


def tables(connection: sqlite3.Connection) -> set[str]:
    """Return the existing tables."""
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name for (name,) in found}


def test_migrations_are_numbered_without_a_gap() -> None:
    """The released migrations count up from one, and their names say what they do."""
    found = all_migrations()

    assert [one.version for one in found] == list(range(1, len(found) + 1))
    assert all(re.fullmatch(r"[a-z0-9_]+", one.name) for one in found)


def test_only_migrations_are_discovered() -> None:
    """Other files in the folder are left alone."""
    assert discover("prefactor_server.storage.sqlite.migrations")[0].name == "initial"
    assert discover("prefactor_server.storage") == []


def test_a_new_database_gets_all_migrations(connection: sqlite3.Connection) -> None:
    """All migrations are applied in order and recorded, and a second run does nothing."""
    assert pending_migrations(connection) == migrate(connection) == all_migrations()
    history = connection.execute("SELECT version, name, checksum FROM migration").fetchall()

    assert history == [(one.version, one.name, one.checksum) for one in all_migrations()]
    before = connection.execute("PRAGMA schema_version").fetchone()
    assert migrate(connection) == pending_migrations(connection) == []
    assert connection.execute("PRAGMA schema_version").fetchone() == before


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """A dry run works on a read-only connection."""
    path = tmp_path / "prefactor.db"
    open_writer(path).close()
    reader = open_reader(path)

    assert pending_migrations(reader) == all_migrations()
    assert tables(reader) == set()
    reader.close()


def test_only_missing_steps_are_applied(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database of an older server gets the steps that it does not have yet."""
    known(monkeypatch, ONE)
    assert migrate(connection) == [ONE]
    known(monkeypatch, ONE, TWO)

    assert migrate(connection) == [TWO]
    assert connection.execute("SELECT x FROM a").fetchall() == [(";",)]


def test_a_failing_step_leaves_nothing(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that fails halfway is rolled back and named; the steps before it stay."""
    known(monkeypatch, ONE, TWO, BROKEN)

    with pytest.raises(
        MigrationError, match=r"Migration 3 \(broken\) failed and was rolled back: no such table"
    ):
        migrate(connection)
    assert tables(connection) == {"migration", "a", "b"}
    assert not connection.in_transaction
    assert pending_migrations(connection) == [BROKEN]


def test_a_full_database_is_unchanged(connection: sqlite3.Connection) -> None:
    """A migration that runs out of space says so and leaves the database empty."""
    connection.execute("PRAGMA max_page_count = 5")

    with pytest.raises(MigrationError, match="full"):
        migrate(connection)
    assert tables(connection) == set()
    connection.execute("PRAGMA max_page_count = 100000")
    assert migrate(connection) == all_migrations()


def test_an_edited_step_is_refused(connection: sqlite3.Connection) -> None:
    """A database with a different migration than the server's is refused, and not changed."""
    migrate(connection)
    connection.execute("UPDATE migration SET checksum = 'other' WHERE version = 1")

    with pytest.raises(MigrationError, match=r"Migration 1 \(initial\) is not the one"):
        migrate(connection)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """A newer server's database is refused with advice, and its lock is released."""
    path = tmp_path / "prefactor.db"
    connection = open_writer(path)
    migrate(connection)
    connection.execute("INSERT INTO migration VALUES (999, 'future', 'x', 1)")

    for _ in range(2):
        with pytest.raises(MigrationError, match=r"migration 999, .* Install that one"):
            SqliteStorage.open(path)
    connection.execute("DELETE FROM migration WHERE version = 999")
    connection.close()
    SqliteStorage.open(path)._close()


def test_the_plan_lists_the_missing_steps() -> None:
    """The plan lists the missing steps, in order."""
    assert plan([ONE, TWO, BROKEN], {}) == [ONE, TWO, BROKEN]
    assert plan([ONE, TWO], {2: TWO.checksum}) == [ONE]
    assert plan([ONE], {1: ONE.checksum}) == []


OPEN = """
import sys
from pathlib import Path
from prefactor_server.storage.sqlite.connection import open_writer
from prefactor_server.storage.sqlite.migrate import migrate
print("ready", flush=True)
sys.stdin.readline()
connection = open_writer(Path(sys.argv[1]))
print(len(migrate(connection)))
"""


def test_processes_that_migrate_at_once(tmp_path: Path) -> None:
    """If several processes open a new file at once, each step is applied once."""
    path = tmp_path / "prefactor.db"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    answers = [child.communicate("go\n", timeout=60) for child in children]

    assert [error for _, error in answers] == [""] * 4
    assert sum(int(done) for done, _ in answers) == len(all_migrations())
