"""Broken connections and lost servers: no write is lost, duplicated or wrongly refused."""

import asyncio
import signal
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import asyncpg
import pytest
from lossy_proxy import LossyProxy, lossy
from postgres_database import PostgresDatabase, do, fill, submit
from rows import ACCOUNT, create_span, payload, register, request, start

from postgres_server import DURABLE, PostgresServer, start_postgres
from prefactor_server.commands.base import (
    Command,
    Done,
    Outcome,
    Submission,
    collect_needs,
    decide_batch,
)
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.errors import OutcomeUnknown, Unavailable
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.storage.base import Snapshot, Storage
from prefactor_server.storage.postgres.backend import PostgresStorage


async def losing(
    storage: Storage, proxy: LossyProxy, what: Literal["question", "answer"], command: Command
) -> tuple[Outcome, int]:
    """Return the outcome of a command whose connection breaks, and the number of its decisions."""
    submissions = [Submission((command,), 1)]
    decided = 0

    def decide(snapshots: Mapping[str, Snapshot]) -> list[list[Outcome]]:
        nonlocal decided
        decided += 1
        if decided == 1:
            proxy.lose = what
        return decide_batch(submissions, snapshots)

    ((outcome,),) = await storage.transact(collect_needs(submissions), decide)
    return outcome, decided


@pytest.mark.parametrize(("what", "decisions"), [("question", 2), ("answer", 1)])
async def test_a_write_without_a_key_has_one_effect(
    what: Literal["question", "answer"], decisions: int, database: PostgresDatabase
) -> None:
    """A write whose connection breaks is done once and answered correctly, even without a key."""
    async with lossy(database.url) as (proxy, url):
        storage = await PostgresStorage.open(url)
        run = await do(storage, register("run-1"))

        outcome, decided = await losing(
            storage, proxy, what, create_span("s", run, payloads=(payload("s", 0, b"{}"),))
        )

        await storage.close()
    assert proxy.losses == 1
    assert isinstance(outcome, Done)
    assert not outcome.replayed
    assert decided == decisions
    assert await database.rows("SELECT id FROM agent_span") == [("s",)]
    await database.check_counts()


async def test_a_write_is_done_despite_two_losses(
    database: PostgresDatabase,
) -> None:
    """A batch that never arrived is written once, even if the query about it is lost as well."""
    async with lossy(database.url) as (proxy, url):
        storage = await PostgresStorage.open(url)
        run = await do(storage, register("run-1"))
        # The first question prepares, the second executes: it takes effect and its answer is lost.
        proxy.lose_answer_after = b"INSERT INTO write_receipt"

        outcome, decided = await losing(storage, proxy, "question", create_span("s", run))

        await storage.close()
    assert proxy.losses == 2
    assert isinstance(outcome, Done)
    assert decided == 2
    assert await database.rows("SELECT id FROM agent_span") == [("s",)]
    await database.check_counts()


async def test_a_read_is_repeated(database: PostgresDatabase) -> None:
    """A read whose connection breaks is repeated on another one."""
    async with lossy(database.url) as (proxy, url):
        storage = await PostgresStorage.open(url)
        await do(storage, register("run-1"))
        await storage.instance(ACCOUNT, "run-1")
        proxy.lose = "question"

        found = await storage.instance(ACCOUNT, "run-1")

        await storage.close()
    assert proxy.losses == 1
    assert found is not None


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server of this test's own, to be stopped and started again."""
    started = start_postgres(DURABLE)
    yield started
    started.discard()


async def prepared(server: PostgresServer) -> tuple[PostgresDatabase, PostgresStorage, Any]:
    """A database with two accounts and a started run."""
    database = PostgresDatabase(server.create_database("prefactor"))
    storage = await database.open(retry_seconds=30)
    await fill(storage, database.url)
    run = await do(storage, register("run-1"))
    return database, storage, await do(storage, start(run.id))


async def answered_spans(storage: PostgresStorage, run: Any, client: int, number: int) -> list[str]:
    """Return the ids of spans acknowledged as created, half with a key and half without."""
    writer = Writer(storage, max_queue_bytes=1 << 20, concurrency=storage.concurrency)
    answered: list[str] = []
    for step in range(number):
        span_id = f"span-{client}-{step}"
        key = span_id if step % 2 else None
        command = create_span(span_id, run, request=request(key=key))
        (outcome,) = await writer.submit([command], 1)
        assert isinstance(outcome, Done), outcome
        assert not outcome.replayed
        answered.append(span_id)
    return answered


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT], ids=["crashed", "stopped"])
async def test_the_database_restarts_under_load(
    how: signal.Signals, own_server: PostgresServer
) -> None:
    """While the database crashes and restarts, every write happens once and is answered."""
    database, storage, run = await prepared(own_server)
    load = [asyncio.create_task(answered_spans(storage, run, one, 150)) for one in range(6)]

    for _ in range(3):
        await asyncio.sleep(0.3)
        await asyncio.to_thread(own_server.stop, how)
        await asyncio.to_thread(own_server.start)
    answered = [span_id for part in await asyncio.gather(*load) for span_id in part]

    await storage.close()
    stored = [row[0] for row in await database.rows("SELECT id FROM agent_span")]
    assert sorted(stored) == sorted(answered)
    await database.check_counts()


async def test_connections_are_terminated_under_load(own_server: PostgresServer) -> None:
    """While an operator keeps ending all sessions, no write is lost, duplicated or refused."""
    database, storage, run = await prepared(own_server)
    operator = await asyncpg.connect(database.url)
    load = asyncio.gather(*(answered_spans(storage, run, one, 20) for one in range(4)))
    terminate = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'prefactor-server' AND query LIKE '%write_batch%'"
    )
    count_spans = "SELECT count(*) FROM agent_span"

    ended = stored_before = 0
    while not load.done():
        stored = await operator.fetchval(count_spans)
        # On a busy machine, ending sessions before any write finishes would stop all writes.
        if stored > stored_before:
            ended += await operator.fetchval(terminate)
            stored_before = stored
        await asyncio.sleep(0.01)
    await operator.close()

    answered = [span_id for part in await load for span_id in part]
    await storage.close()
    assert ended > 0
    found = [row[0] for row in await database.rows("SELECT id FROM agent_span")]
    assert sorted(found) == sorted(answered)
    await database.check_counts()


async def test_a_database_that_stays_away(own_server: PostgresServer) -> None:
    """While the database is away, reads and writes fail with a clear message; then they resume."""
    database, storage, run = await prepared(own_server)
    await storage.close()
    storage = await database.open(retry_seconds=0.2)
    own_server.stop()

    with pytest.raises(Unavailable, match="cannot be reached: nothing was stored"):
        await submit(storage, create_span("lost", run))
    with pytest.raises(Unavailable, match="cannot be reached"):
        await storage.instance(ACCOUNT, "run-1")

    own_server.start()
    (outcome,) = await submit(storage, create_span("kept", run))
    listing = Listing((Filter("agent_instance_id", "=", "run-1"),))
    page = await storage.spans(ACCOUNT, listing)
    await storage.close()
    assert isinstance(outcome, Done)
    assert [record.span.id for record in page.rows] == ["kept"]


async def test_an_outcome_that_stays_unknown(own_server: PostgresServer) -> None:
    """If the database is lost during a commit and stays away, the error says it is unknown."""
    database, opened, run = await prepared(own_server)
    await opened.close()
    async with lossy(database.url) as (proxy, url):
        storage = await PostgresStorage.open(url, retry_seconds=0.3)
        submissions = [Submission((create_span("s", run),), 1)]

        def decide(snapshots: Mapping[str, Snapshot]) -> list[list[Outcome]]:
            proxy.lose = "question"
            own_server.stop(signal.SIGQUIT)
            return decide_batch(submissions, snapshots)

        with pytest.raises(OutcomeUnknown, match="may or may not"):
            await storage.transact(collect_needs(submissions), decide)
        await storage.close()
