"""The search file beside a database file is rebuilt, whatever happens to it."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from database import Database
from indexing import index, record, spans_with
from rows import ACCOUNT

from prefactor_server.domain.errors import Unavailable
from prefactor_server.storage.sqlite.search import _SQL, SqliteSearch, search_path


def overwrite(path: Path) -> None:
    """Replace the file with something that is not a database."""
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    path.write_bytes(b"no database" * 1000)


def older(path: Path) -> None:
    """The file is of another format."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("damage", [Path.unlink, overwrite, older])
@pytest.mark.parametrize("is_open", [True, False])
async def test_a_lost_file_is_rebuilt(database: Database, damage: object, is_open: bool) -> None:
    """A file that is deleted, damaged or of another format is filled again, open or not."""
    storage = database.storage
    spans = await record(storage, 2)
    await index(storage)
    path = search_path(database.path)
    assert path.stat().st_mode & 0o077 == 0
    if is_open and damage is not Path.unlink:
        damage = Path.unlink
    if not is_open:
        await storage.search.close()
        storage.search = SqliteSearch(path, min_free_disk_bytes=0)
    damage(path)  # type: ignore[operator]
    with suppress(Unavailable):
        await index(storage)
    await index(storage)

    assert await spans_with(storage, ACCOUNT, "apple") == spans


async def test_a_full_disk_stops_only_the_index(database: Database) -> None:
    """Without enough space indexing waits, and other writes continue as far as possible."""
    storage = database.storage
    await record(storage, 1)
    await storage.search.close()
    storage.search = SqliteSearch(search_path(database.path), min_free_disk_bytes=1 << 62)

    with pytest.raises(Unavailable, match="waits for space"):
        await index(storage)
    assert await spans_with(storage, ACCOUNT, "apple") == []


async def test_words_are_found_by_index(database: Database) -> None:
    """A search reads the words of the query, and looks up their spans."""
    await record(database.storage, 1)
    await index(database.storage)
    asked = {"query": '"apple"', "account_id": ACCOUNT, "limit": 10}
    with closing(sqlite3.connect(search_path(database.path))) as connection:
        plan = [
            step[3]
            for step in connection.execute(f"EXPLAIN QUERY PLAN {_SQL['search.find']}", asked)
        ]

    assert any("word VIRTUAL TABLE INDEX" in step for step in plan)
    assert "SEARCH document USING INTEGER PRIMARY KEY (rowid=?)" in plan
    assert not any("TEMP B-TREE" in step for step in plan)
