"""Spans and payloads in partitions by time, which a server creates in advance."""

import asyncio
import sys
from collections import Counter
from pathlib import Path

import asyncpg
import pytest
import upkeep
from partitions import (
    DAY,
    TODAY,
    add_span,
    check_without_gaps,
    date,
    migrate_to,
    place,
    span_id,
    started,
)
from postgres_database import PostgresDatabase, do
from rows import ACCOUNT, finish_span

from prefactor_server.domain.errors import Unavailable
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.connection import connect
from prefactor_server.storage.postgres.migrate import migrate
from prefactor_server.storage.postgres.upkeep.partitions import PARTITIONED

BEFORE_PARTITIONS = 23
FILES = """
SELECT relname, relfilenode FROM pg_class
WHERE relname ~ '^(agent_span|span_payload)' AND relkind IN ('r', 'i')
"""


async def test_a_new_database_begins_partitioned(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A span of a new database goes to the partition of the day in its id."""
    assert await storage.maintenance.extend_partitions(TODAY + 1, 1) != []
    assert await storage.maintenance.extend_partitions(TODAY + 1, 1) == []
    run = await started(storage)
    ids = {day: span_id(day) for day in (-30, 0, 1, 30)}
    for span in (*ids.values(), "made-up"):
        await add_span(storage, run, span)

    assert [await place(database, span) for span in ids.values()] == [
        "default",
        date(0),
        date(1),
        date(2),
    ]
    assert await place(database, "made-up") == "default"
    keys = "SELECT relkind = 'r' FROM pg_class WHERE relname = 'idempotency_key'"
    assert await database.value(keys)


async def test_rows_ahead_of_time_move_into_their_partition(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A span from a clock 30 days ahead moves to its day's partition when that day comes."""
    run = await started(storage)
    early, late = span_id(30), span_id(-30)
    for span in (early, late):
        await add_span(storage, run, span)

    for day in range(33):
        await storage.maintenance.extend_partitions(TODAY + day * DAY + 1, 1)
        assert {span.span.id for span in await storage.spans_by_id(ACCOUNT, [early, late])} == {
            early,
            late,
        }

    assert await place(database, early) == date(30)
    assert await place(database, late) == "default"
    await do(storage, finish_span(early))
    await check_without_gaps(database)
    assert await upkeep.findings(storage) == []


async def test_partitions_after_a_long_pause(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A server that was down for weeks creates only the partitions of the coming days."""
    await storage.maintenance.extend_partitions(TODAY + 1, 1)

    made = await storage.maintenance.extend_partitions(TODAY + 20 * DAY + 1, 1)

    assert sorted(made) == sorted(
        f"{table.name}_{date(day)}" for table in PARTITIONED for day in (21, 22)
    )
    await check_without_gaps(database)


async def test_an_old_table_becomes_a_partition(empty_url: str) -> None:
    """Migrating keeps the files of the old tables and their indexes, and every row readable."""
    await migrate_to(empty_url, BEFORE_PARTITIONS)
    database = PostgresDatabase(empty_url)
    before = dict(await database.rows(FILES))
    rows = [span_id(day) for day in (-30, 0, 30)] + ["made-up"]
    for span in rows:
        await database.rows(_INSERT_SPAN, span)
        await database.rows(_INSERT_PAYLOAD, span)

    storage = await PostgresStorage.open(empty_url)

    after = dict(await database.rows(FILES))
    assert set(before.values()) <= set(after.values())
    for name in ("agent_span_default", "span_payload_default_pkey"):
        assert after[name] == before[name.replace("_default", "")]
    assert [await place(database, span) for span in rows] == [
        "default",
        "default",
        date(1),
        "default",
    ]
    assert len(await storage.spans_by_id("a", rows)) == len(rows)
    await storage.maintenance.extend_partitions(TODAY + 1, 30)
    assert await place(database, rows[2]) == date(1)
    await check_without_gaps(database)
    await storage.close()


_INSERT_SPAN = """
INSERT INTO agent_span (id, account_id, agent_id, environment_id, agent_instance_id, schema_name,
                        inserted_at, payload_size, status, flags, result_size, updated_at)
VALUES ($1, 'a', 'agent', 'e', 'run', 'llm', 1, 2, 'active', 0, 0, 1)
"""
_INSERT_PAYLOAD = "INSERT INTO span_payload VALUES ('a', $1, 0, 0, '{}')"


async def test_a_blocked_partition_stops_no_write(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """If a long read blocks new partitions, spans are stored, and the partitions come later."""
    run = await started(storage)
    reader = await asyncpg.connect(database.url)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT * FROM agent_span")

    with pytest.raises(Unavailable, match="lock timeout"):
        await storage.maintenance.extend_partitions(TODAY + 1, 1)
    await add_span(storage, run, span := span_id(2))

    await reading.rollback()
    await reader.close()
    assert await storage.maintenance.extend_partitions(TODAY + 1, 1) != []
    assert await place(database, span) == date(2)


async def test_a_refusal_by_postgresql_is_reported(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """If a partition cannot be created, the error has PostgreSQL's reason; spans are stored."""
    run = await started(storage)
    await database.rows(f"CREATE TABLE agent_span_{date(1)} (in_the_way text)")

    with pytest.raises(Unavailable, match="already exists"):
        await storage.maintenance.extend_partitions(TODAY + 1, 1)

    await add_span(storage, run, span_id(1))
    assert await upkeep.findings(storage) == []


async def test_two_servers_make_each_partition_once(
    database: PostgresDatabase, storage: PostgresStorage, other: PostgresStorage
) -> None:
    """Servers that start at once create each partition once, while they write."""
    run = await started(storage)

    async def write(replica: PostgresStorage) -> None:
        for day in range(20):
            await add_span(replica, run, span_id(day % 6))

    making = [one.maintenance.extend_partitions(TODAY + 1, 1) for one in (storage, other) * 4]
    made = await asyncio.gather(*making, write(storage), write(other))

    assert set(Counter(name for names in made[:-2] for name in names).values()) == {1}
    assert sum(len(names) for names in made[:-2]) == 4
    await database.check_counts()
    await check_without_gaps(database)


ENDLESS_PARTITIONS = """
import asyncio, sys
sys.path[:0] = sys.argv[3:]
from postgres_database import PostgresDatabase

async def main():
    storage = await PostgresDatabase(sys.argv[1]).open()
    for day in range(300):
        now = int(sys.argv[2]) + day * 86_400_000_000
        print(*await storage.maintenance.extend_partitions(now, 1), flush=True)

asyncio.run(main())
"""


async def test_a_server_killed_while_it_makes_partitions(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """After a kill -9 every id has a partition, and another server continues."""
    run = await started(storage)
    spans = [span_id(day) for day in range(0, 40, 3)]
    for span in spans:
        await add_span(storage, run, span)
    paths = [path for path in sys.path if Path(path).name == "support"]
    for attempt in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", ENDLESS_PARTITIONS, database.url, str(TODAY), *paths),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(1 + 3 * attempt):
            await process.stdout.readline()
        process.kill()
        await process.wait()

        await check_without_gaps(database)
        assert len(await storage.spans_by_id(ACCOUNT, spans)) == len(spans)
        await add_span(storage, run, span_id(attempt))

    await storage.maintenance.extend_partitions(TODAY + 40 * DAY, 1)
    await check_without_gaps(database)
    assert await upkeep.findings(storage) == []


async def test_a_clock_beyond_all_ranges(empty_url: str) -> None:
    """A server whose clock is in the far future starts, and stores what it receives."""
    connection = await connect(empty_url)
    await migrate(connection)
    await connection.close()
    storage = await PostgresStorage.open(empty_url)

    assert await storage.maintenance.extend_partitions(TODAY + 20_000 * DAY, 1) == []

    await storage.close()
