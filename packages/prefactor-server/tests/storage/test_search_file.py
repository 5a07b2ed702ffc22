"""The search file of a database file is rebuilt, whatever happens to it."""

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest
from database import Database
from indexing import index, record, spans_with
from rows import ACCOUNT

from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.search.index import SearchDocument
from prefactor_server.domain.search.text import SpanText
from prefactor_server.domain.search.words import Term
from prefactor_server.storage.feed import ConsumerState, Deleted, Derived
from prefactor_server.storage.sqlite import search_blocks
from prefactor_server.storage.sqlite.search import _SQL, SqliteSearch, search_path


def overwrite(path: Path) -> None:
    """Replace the file with something that is not a database."""
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    path.write_bytes(b"no database" * 1000)


def older(path: Path) -> None:
    """Give the file another format."""
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
    """A search looks up its words in the index, and then their spans."""
    await record(database.storage, 1)
    await index(database.storage)
    asked = _SQL["search.find"].format(table="word_0")
    with closing(sqlite3.connect(search_path(database.path))) as connection:
        plan = [
            step[3]
            for sql, values in ((asked, ('"apple"',)), (_SQL["block.of_number"], (1,)))
            for step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)
        ]

    assert any("word_0 VIRTUAL TABLE INDEX" in step for step in plan)
    assert "SEARCH block USING INTEGER PRIMARY KEY (rowid<?)" in plan
    assert not any("TEMP B-TREE" in step for step in plan)


def words_of_index(path: Path) -> Counter[str]:
    """Return the number of spans that the index has for each word."""
    with closing(sqlite3.connect(path)) as connection:
        found: Counter[str] = Counter()
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE sql LIKE '%USING fts5%'"
        ).fetchall():
            connection.execute(
                f"CREATE VIRTUAL TABLE temp.of_{name} USING fts5vocab(main, {name}, row)"
            )
            found.update(dict(connection.execute(f"SELECT term, doc FROM temp.of_{name}")))  # noqa: S608 - ours
        return found


@pytest.mark.parametrize("spans_of_table", [30, 100_000])
async def test_the_index_has_the_words_of_the_texts_and_no_others(
    spans_of_table: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However spans change, each is found by its current words and by no others."""
    monkeypatch.setattr(search_blocks, "_TABLE_SPANS", spans_of_table)
    chance = Random(7)
    path = tmp_path / "words"
    search = SqliteSearch(path, min_free_disk_bytes=0)
    state = await search.begin(ConsumerState("search", 0, None))
    runs = ("run-0", "run-1", "run-2")
    texts: dict[tuple[str, str, str], str] = {}
    for _ in range(40):
        deleted = chance.sample(sorted(texts), min(len(texts), chance.randrange(0, 30, 10)))
        gone = [Deleted(SearchDocument, key) for key in deleted]
        if chance.random() < 0.1:
            gone.append(Deleted(SearchDocument, ("account", run := chance.choice(runs))))
            deleted += [key for key in texts if key[1] == run]
        for key in deleted:
            texts.pop(key, None)
        some = {
            ("account", chance.choice(runs), f"span-{chance.randrange(250)}"): " ".join(
                chance.choices(
                    ("apple", "pear", "plum\x1f", "fig"), k=chance.choice((1, 2, 3, 3, 4000))
                )
            )
            for _ in range(chance.randrange(120))
        }
        put = [
            search.document(key, SpanText(text, is_cut=len(text) > 100), ())
            for key, text in some.items()
        ]
        moved = await search.advance(state, state, Derived(upserted=put, deleted=gone))
        assert moved
        state = moved
        texts |= some
    for word in ("apple", "pear", "plum", "fig"):
        matches = await search.find("account", [Term(word, is_prefix=False)], ())
        with_word = {key[1:] for key, text in texts.items() if word in text}
        assert {found[:2] for found in matches.found} <= with_word
        assert {run for run, *_ in matches.found} == {run for run, _ in with_word}
        assert not (await search.find("other", [Term(word, is_prefix=False)], ())).found
        assert words_of_index(path)[word] == len(with_word)
    cut = {key[1:]: len(text) > 100 for key, text in texts.items()}
    assert all(cut[found[:2]] == found.is_cut for found in matches.found)
    every = [Deleted(SearchDocument, key) for key in texts]
    assert await search.advance(state, state, Derived(deleted=every))
    assert (words_of_index(path), await search.some(1)) == (Counter(), [])
    await search.close()


async def test_a_search_that_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search of many spans ends in time with the latest ones, and says that there may be more."""
    monkeypatch.setattr(search_blocks, "_TABLE_SPANS", 10)
    monkeypatch.setattr(search_blocks, "_MAX_SECONDS", -1)
    search = SqliteSearch(tmp_path / "words", min_free_disk_bytes=0)
    state = await search.begin(ConsumerState("search", 0, None))
    put = [
        search.document(("account", f"run-{number:02}", "s"), SpanText("apple", is_cut=False), ())
        for number in range(1, 26)
    ]
    assert await search.advance(state, state, Derived(upserted=put))

    matches = await search.find("account", [Term("appl", is_prefix=True)], ())

    assert [run for run, *_ in matches.found] == [f"run-{number}" for number in range(25, 20, -1)]
    assert matches.complete is False
    await search.close()
