"""The change feed where several servers commit at a time, and where a database moves."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
from indexing import follower_of_all
from postgres_database import PostgresDatabase, do, submit
from rows import ACCOUNT, principal, register, start
from tally import catch_up

from patience import patience
from postgres_server import PostgresServer, start_postgres
from prefactor_server.api.events.hub import EventHub, EventLimits
from prefactor_server.domain.event import ChangedRows, EventFilter
from prefactor_server.http.memory_budget import MemoryBudget
from prefactor_server.queries.event import EventQueries
from prefactor_server.storage.postgres.backend import PostgresStorage

INSERT = """
INSERT INTO feed_change
VALUES (pg_current_xact_id()::text::bigint, 'account-1', 'early', 1, 0, 0, '')
"""


async def named(storage: Any, *, settled: bool = True) -> list[str]:
    """The runs of all commits in the feed."""
    changes = await storage.feed.changes(0, 1000, settled=settled)
    return [change.agent_instance_id for change in changes]


async def test_a_late_commit_is_not_skipped(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A commit is read only when no transaction that began before it can still follow."""
    early = await asyncpg.connect(database.url)
    try:
        transaction = early.transaction()
        await transaction.start()
        await early.execute(INSERT)
        await do(storage, register("late"))

        assert await named(storage) == []
        assert await named(storage, settled=False) == ["late"]
        assert await storage.feed.position() == 0
        await transaction.commit()
        assert await named(storage) == ["early", "late"]
    finally:
        await early.close()


async def test_a_change_that_is_not_settled_is_counted(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A run's stored total is not used while the feed holds back a change of the run."""
    follower = follower_of_all(storage)
    await submit(storage, register("run-1"), register("run-2"))
    await catch_up(follower)
    assert await storage.run_totals.exact(ACCOUNT, "run-1", 10) is not None
    early = await asyncpg.connect(database.url)
    try:
        transaction = early.transaction()
        await transaction.start()
        await early.execute(INSERT)
        await do(storage, start("run-1"))
        await catch_up(follower)

        assert await storage.run_totals.exact(ACCOUNT, "run-1", 10) is None
        assert await storage.run_totals.exact(ACCOUNT, "run-2", 10) is not None
    finally:
        await early.close()


async def test_a_stream_begins_with_commits_that_are_not_settled(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A stream that begins while a transaction holds commits back gets each of them once."""

    def rendered(_position: int, rows: ChangedRows, _filter: EventFilter) -> bytes:
        return ",".join(rows.changes).encode()

    limits = EventLimits(window_seconds=0.001, poll_seconds=0.01)
    hub = EventHub(EventQueries(storage), rendered, limits=limits, budget=MemoryBudget(0))
    early = await asyncpg.connect(database.url)
    try:
        transaction = early.transaction()
        await transaction.start()
        await early.execute(INSERT)
        await do(storage, register("before"))
        stream = await hub.subscribe(EventFilter.for_caller(principal()), None)
        await do(storage, register("after"))
        await transaction.commit()
        found: list[str] = []
        async with asyncio.timeout(patience(10)):
            while "after" not in found:
                await stream.wait()
                while (message := stream.take()) is not None:
                    found += message.data.decode().split(",")
    finally:
        await early.close()
        hub.close()

    assert sorted(found) == ["after", "before", "early"]


def test_positions_go_on_in_another_cluster(
    server: PostgresServer, database: PostgresDatabase, tmp_path: Path
) -> None:
    """After a restore into a cluster with a lower transaction count, positions still increase."""

    async def fill() -> int:
        storage = await database.open()
        await do(storage, register("run-1"))
        position = await storage.feed.position()
        await storage.close()
        # As if that cluster had counted a million transactions.
        await database.rows("UPDATE feed_change SET position = position + 1000000")
        return position + 1_000_000

    async def go_on(url: str) -> list[Any]:
        found: list[Any] = []
        for run_id in ("run-2", "run-3"):
            storage = await PostgresStorage.open(url)
            await do(storage, register(run_id))
            found = list(await storage.feed.changes(0, 1000))
            assert (await storage.instance(ACCOUNT, run_id)) is not None
            await storage.close()
        return found

    last = asyncio.run(fill())
    archive = tmp_path / "copy.dump"
    server.run("pg_dump", "--format", "custom", "--file", str(archive), database.url)
    elsewhere = start_postgres()
    try:
        url = elsewhere.create_database("restored")
        elsewhere.run("pg_restore", "--no-owner", "--dbname", "restored", str(archive))
        found = asyncio.run(go_on(url))
    finally:
        elsewhere.discard()

    assert [change.agent_instance_id for change in found] == ["run-1", "run-2", "run-3"]
    positions = [change.position for change in found]
    assert positions[0] == last
    assert positions == sorted(set(positions))
