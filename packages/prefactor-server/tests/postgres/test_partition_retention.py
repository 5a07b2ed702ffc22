"""An old partition is emptied as a whole if all of its runs expired, else row by row."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import upkeep
from partitions import DAY, TODAY, add_span, check_without_gaps, date, migrate_to, place, span_id
from postgres_database import PostgresDatabase, do, fill
from rows import ACCOUNT, OTHER_ACCOUNT, register, start

from live_server import start_server
from patience import patience
from prefactor_server.cli.maintenance import prune
from prefactor_server.domain.runs.retention import Deletion, Retention
from prefactor_server.storage.maintenance import prune_record
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.connection import connect
from prefactor_server.storage.postgres.upkeep.partitions import begin
from prefactor_server.upkeep import RetentionTask

FIRST = -34
KEPT = 30
FILES = "SELECT relname, relfilenode FROM pg_class WHERE relname ~ '_20' AND relkind = 'r'"
POLICY = "INSERT INTO retention_policy VALUES ($1, $1, 1, $2, NULL, 1)"
PAYLOAD_BYTES = "SELECT sum(octet_length(body)) FROM span_payload"
ENTRIES = "SELECT detail FROM audit_entry WHERE action = 'retention_policies.apply'"


@pytest.fixture
def database(empty_url: str) -> PostgresDatabase:
    """A database whose partitions began 34 days ago, the first three of one day each."""

    async def make() -> None:
        await migrate_to(empty_url, 10_000)
        connection = await connect(empty_url)
        await begin(connection, TODAY + FIRST * DAY)
        await connection.close()
        storage = await PostgresStorage.open(empty_url)
        await fill(storage, empty_url)
        for day in (FIRST, FIRST + 1):
            await storage.maintenance.extend_partitions(TODAY + day * DAY + 1, 1)
        await storage.close()

    asyncio.run(make())
    return PostgresDatabase(empty_url)


@pytest_asyncio.fixture
async def storage(database: PostgresDatabase) -> AsyncIterator[PostgresStorage]:
    """The storage of a server whose first account keeps runs for 30 days."""
    await set_policy(database, ACCOUNT)
    opened = await database.open()
    yield opened
    await opened.close()


async def set_policy(database: PostgresDatabase, account_id: str) -> None:
    """Keep the runs of an account for 30 days."""
    rule = {"days": KEPT, "agent_id": None, "environment_id": None, "purpose": None}
    await database.rows(POLICY, account_id, json.dumps([rule]))


async def add_run(storage: PostgresStorage, day: int, *, ended: int | None = None) -> str:
    """Record a run of that day with three spans, which ended within a second or on another day."""
    run_id = span_id(day)
    end = TODAY + (day if ended is None else ended) * DAY + 2_000_000
    await upkeep.run_with_spans(storage, run_id, ended=end)
    return run_id


async def apply(storage: PostgresStorage, day: int) -> None:
    """Apply the policies as a server does on that day."""
    await RetentionTask(
        storage, holder="test", now_us=lambda: TODAY + day * DAY + 3_000_000, interval_seconds=0
    ).turn()


async def files(database: PostgresDatabase) -> dict[str, int]:
    """The files of the partitions; emptying a partition as a whole gives it another file."""
    return dict(await database.rows(FILES))


def emptied(before: dict[str, int], after: dict[str, int]) -> set[str]:
    """Return the partitions of spans that were emptied as a whole."""
    return {name for name in before if before[name] != after[name] and "span_2" in name}


def partition(day: int) -> str:
    """Return the name of a day's partition of spans."""
    return f"agent_span_{date(day)}"


async def test_an_expired_day_is_emptied(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """When all runs of a day have expired, its partition is emptied and all their rows are gone."""
    old = [await add_run(storage, FIRST) for _ in range(2)]
    across = await add_run(storage, FIRST)
    await add_span(storage, await storage.instance(ACCOUNT, across), late := span_id(FIRST + 1))
    next_day = await add_run(storage, FIRST + 1)
    before, all_bytes = await files(database), await database.value(PAYLOAD_BYTES)

    # The next day's run has expired too, and stays until its whole day has.
    await apply(storage, FIRST + 1 + KEPT)

    assert emptied(before, await files(database)) == {partition(FIRST)}
    assert await upkeep.runs(storage, *old, across, next_day) == {next_day}
    everything = await database.everything()
    for gone in (*old, across, late):
        mentions = [table for table, rows in everything.items() if gone in repr(rows)]
        assert mentions in (["feed_change"], [])
    left = await database.value(PAYLOAD_BYTES)
    detail = await database.value(ENTRIES)
    assert f"all runs, kept 30 days: 3 runs, 10 spans, {all_bytes - left} bytes" in detail
    assert await upkeep.findings(storage) == []

    await apply(storage, FIRST + 2 + KEPT)
    assert await upkeep.runs(storage, next_day) == set()
    details = [detail for (detail,) in await database.rows(ENTRIES)]
    assert any(f": 1 runs, 3 spans, {left} bytes" in one for one in details)
    assert emptied(before, await files(database)) == {partition(FIRST), partition(FIRST + 1)}


async def _hold(database: PostgresDatabase, storage: PostgresStorage) -> str:
    run_id = await add_run(storage, FIRST)
    await storage.maintenance.add_hold(*upkeep.hold(run_id))
    return run_id


async def _still_going(database: PostgresDatabase, storage: PostgresStorage) -> str:
    run_id = span_id(FIRST)
    await upkeep.run_with_spans(storage, run_id, ended=None)
    return run_id


async def _ended_later(database: PostgresDatabase, storage: PostgresStorage) -> str:
    return await add_run(storage, FIRST, ended=FIRST + 3)


@pytest.mark.parametrize("keeper", [_hold, _still_going, _ended_later])
async def test_one_run_that_stays_keeps_its_partition(
    keeper: Any, database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """If one run of a partition stays with its spans, the others are deleted row by row."""
    old = await add_run(storage, FIRST)
    stays = await keeper(database, storage)
    before = await files(database)

    await apply(storage, FIRST + 1 + KEPT)

    assert emptied(before, await files(database)) == set()
    assert await upkeep.runs(storage, old, stays) == {stays}
    assert len(await storage.skeleton(ACCOUNT, stays)) == 3
    assert await upkeep.findings(storage) == []


async def test_accounts_without_a_policy_keep_their_runs(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A partition with spans of an account that keeps everything is not emptied."""
    old = await add_run(storage, FIRST)
    other = span_id(FIRST)
    await database.rows(
        "INSERT INTO agent_span SELECT (json_populate_record(span, json_build_object("
        "'account_id', $1::text, 'id', $2::text))).* FROM agent_span AS span LIMIT 1",
        OTHER_ACCOUNT,
        other,
    )
    before = await files(database)

    await apply(storage, FIRST + 1 + KEPT)

    assert emptied(before, await files(database)) == set()
    assert await upkeep.runs(storage, old) == set()
    assert await database.value("SELECT count(*) FROM agent_span WHERE id = $1", other) == 1


async def test_a_late_span_keeps_its_partition(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A span that is stored just before its partition is emptied keeps the whole partition."""
    old = await add_run(storage, FIRST)
    maintenance = storage.maintenance
    (first, *_) = await maintenance.partitions()
    found = await maintenance.runs_of_partition(first)
    assert found is not None
    await do(storage, register(late := span_id(FIRST)))
    await do(storage, start(late))
    await add_span(storage, await storage.instance(ACCOUNT, late), span := span_id(FIRST))
    record = prune_record(Retention(ACCOUNT, TODAY), TODAY, "cli")
    deletion = Deletion(ACCOUNT, [old], TODAY, TODAY, record)

    assert not await maintenance.empty_partition(first, found, [deletion])

    assert await upkeep.runs(storage, old, late) == {old, late}
    assert await place(database, span) == date(FIRST)
    assert await upkeep.findings(storage) == []


async def test_a_locked_partition_is_deleted_row_by_row(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Runs whose partition cannot be locked are deleted row by row."""
    old = await add_run(storage, FIRST)
    before = await files(database)
    reader = await asyncpg.connect(database.url)
    async with reader.transaction():
        await reader.fetch("SELECT * FROM agent_span")
        await apply(storage, FIRST + 1 + KEPT)
    await reader.close()

    assert await upkeep.runs(storage, old) == set()
    assert emptied(before, await files(database)) == set()
    assert await upkeep.findings(storage) == []


async def test_a_partition_that_cannot_be_read_in_time(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """If reading a partition's runs exceeds the time limit, they are deleted row by row."""
    old = await add_run(storage, FIRST)
    (first, *_) = await storage.maintenance.partitions()
    async with storage.reads.connection() as connection:
        await connection.execute("SET statement_timeout = '100ms'")
    owner = await asyncpg.connect(database.url)
    async with owner.transaction():
        await owner.execute(f"LOCK TABLE {partition(FIRST)} IN ACCESS EXCLUSIVE MODE")
        assert await storage.maintenance.runs_of_partition(first) is None
    await owner.close()

    found = await storage.maintenance.runs_of_partition(first)
    assert found is not None
    assert [one.run.id for one in found] == [old]


async def test_empty_partitions_become_one(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Past empty partitions are merged, and still accept spans from slow clocks."""
    run_id = await add_run(storage, FIRST)
    await apply(storage, FIRST + 1 + KEPT)
    await storage.maintenance.extend_partitions(TODAY + 1, 1)

    names = [one.name for one in await storage.maintenance.partitions()]
    assert date(FIRST) in names
    assert date(FIRST + 1) not in names
    await check_without_gaps(database)
    run_id = await add_run(storage, FIRST + 1)
    assert await place(database, f"{run_id}-span-0") == date(FIRST)
    assert await upkeep.findings(storage) == []


def test_the_prune_command_empties_partitions(database: PostgresDatabase) -> None:
    """`prune` of all runs empties the partitions in which every run is old enough."""

    async def filled() -> tuple[str, str, dict[str, int]]:
        storage = await database.open()
        old, young = await add_run(storage, FIRST), await add_run(storage, 0)
        await storage.close()
        return old, young, await files(database)

    old, young, before = asyncio.run(filled())
    prune(days=KEPT, database=database.url)

    async def left() -> tuple[set[str], dict[str, int]]:
        storage = await database.open()
        found = await upkeep.runs(storage, old, young)
        assert await upkeep.findings(storage) == []
        await storage.close()
        return found, await files(database)

    runs, after = asyncio.run(left())
    assert runs == {young}
    assert emptied(before, after) == {partition(FIRST)}


LOCKS = "SELECT count(*) FROM pg_locks WHERE relation = 'audit_entry'::regclass"


async def _locks(database: PostgresDatabase, number: int) -> None:
    async with asyncio.timeout(patience(30)):
        while await database.value(LOCKS) != number:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


async def test_a_server_killed_while_it_empties_a_partition(
    database: PostgresDatabase, storage: PostgresStorage, tmp_path: Path
) -> None:
    """After a kill nothing is half deleted; it is deleted later, and logged once."""
    old = [await add_run(storage, FIRST) for _ in range(2)]
    everything = await database.everything()
    # The audit log is locked, so the server waits after it has deleted the runs.
    owner = await asyncpg.connect(database.url)
    async with owner.transaction():
        await owner.execute("LOCK TABLE audit_entry IN SHARE MODE")
        serving = start_server(tmp_path, "--retention-interval-seconds", "1", database=database.url)
        await _locks(database, 2)
        serving.kill()
    await owner.close()
    await _locks(database, 0)

    before, after = await files(database), await database.everything()
    for table in ("agent_instance", "agent_span", "span_payload", "audit_entry"):
        assert after[table] == everything[table]
    assert await upkeep.findings(storage) == []

    # By then, the lease of the killed server has expired.
    await apply(storage, 1)

    assert partition(FIRST) in emptied(before, await files(database))
    assert await upkeep.runs(storage, *old) == set()
    assert await upkeep.findings(storage) == []
    ((detail,),) = await database.rows(ENTRIES)
    assert "all runs, kept 30 days: 2 runs, 6 spans, " in detail
