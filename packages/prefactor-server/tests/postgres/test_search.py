"""The search index that several servers share."""

import asyncio

from indexing import follower_of_all, record, spans_with
from postgres_database import PostgresDatabase
from rows import ACCOUNT
from tally import catch_up

from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.search import _SQL


async def test_two_servers_share_one_index(
    storage: PostgresStorage, other: PostgresStorage
) -> None:
    """Followers that take turns, or work on the same slice, leave no span out."""
    spans = await record(storage, 4)
    first, second = follower_of_all(storage, "one"), follower_of_all(other, "two")
    for number in range(4):
        await asyncio.gather(first.turn(), second.turn())
        await first._lease.release()
        await second._lease.release()
        spans += await record(storage, 1, first=4 + number)
    await catch_up(second)
    await second._lease.release()
    await catch_up(first)

    assert await spans_with(other, ACCOUNT, "apple") == sorted(spans)


async def test_words_are_found_by_index(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A search among many spans uses the index of words, and does not scan the spans."""
    await database.rows(
        f"""INSERT INTO search_document
            SELECT '{ACCOUNT}', 'run-' || n, 'span-' || n, false, 'word' || n || ' common'
            FROM generate_series(1, 20000) AS n"""  # noqa: S608 - ours
    )
    await database.rows("ANALYZE search_document")
    async with storage.reads.connection() as connection, connection.transaction():
        await connection.execute(_SQL["search.by_index"])
        sql = f"EXPLAIN {_SQL['search.find']}"
        plan = await connection.fetch(sql, ACCOUNT, "'word77':*", 5000)

    text = "\n".join(record[0] for record in plan)
    assert "search_document_words" in text
    assert "Seq Scan" not in text
