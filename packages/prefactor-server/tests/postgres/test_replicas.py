"""Several servers working on one database at the same time."""

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from postgres_database import PostgresDatabase, do, submit
from rows import ACCOUNT, NOW, create_span, finish_span, register, request, schema, start, terminate

from prefactor_server.bootstrap import bootstrap
from prefactor_server.commands.base import Command, Done, Refused
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.storage.postgres.backend import PostgresStorage

RUNS = [f"run-{number}" for number in range(6)]
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


async def opened(storage: PostgresStorage) -> list[Any]:
    """A few started runs."""
    runs = [await do(storage, register(run_id)) for run_id in RUNS]
    for run in runs:
        await do(storage, start(run.id))
    return runs


def shuffled_load(runs: list[Any], chance: random.Random, requests: int) -> list[list[Command]]:
    """Requests over all runs in random order, with repeated ids and keys."""
    load: list[list[Command]] = []
    for _ in range(requests):
        items: list[Command] = []
        for _ in range(chance.randint(1, 12)):
            span_id = f"span-{chance.randint(1, 400):03}"
            run = runs[int(span_id[-1]) % len(runs)]
            if chance.random() < 0.6:
                asked = request(key=f"key-of-{span_id}")
                items.append(create_span(span_id, run, request=asked))
            else:
                items.append(finish_span(span_id))
        load.append(items)
    return load


async def test_batches_in_any_order_do_not_deadlock(
    database: PostgresDatabase, storage: PostgresStorage, other: PostgresStorage
) -> None:
    """Two servers that write the same runs, keys and spans in any order never deadlock."""
    runs = await opened(storage)
    chance = random.Random(7)
    writers = [
        Writer(replica, max_queue_bytes=1 << 20, concurrency=2) for replica in (storage, other)
    ]

    async def client(writer: Writer, load: list[list[Command]]) -> list[Any]:
        return [outcome for items in load for outcome in await writer.submit(items, 1)]

    clients = [client(writer, shuffled_load(runs, chance, 25)) for writer in writers * 4]
    outcomes = [outcome for part in await asyncio.gather(*clients) for outcome in part]

    created = Counter(
        outcome.resource_id
        for outcome in outcomes
        if isinstance(outcome, Done) and not outcome.replayed and outcome.row.status == "active"
    )
    stored = {row[0] for row in await database.rows("SELECT id FROM agent_span")}
    assert created == Counter(stored)
    assert await database.value(DEADLOCKS) == 0
    await database.check_counts()


async def test_terminations_among_writes(
    database: PostgresDatabase, storage: PostgresStorage, other: PostgresStorage
) -> None:
    """A run that is terminated while both servers write its spans counts every span."""
    runs = await opened(storage)

    async def busy(replica: PostgresStorage, name: str) -> None:
        for step in range(30):
            run = runs[step % len(runs)]
            span_id = f"{name}-{step:02}"
            await submit(replica, create_span(span_id, run))
            if step % 3 == 0:
                await submit(replica, finish_span(span_id, "failed"))

    async def stop(replica: PostgresStorage, which: list[Any]) -> list[Any]:
        outcomes: list[Any] = []
        for run in which:
            await asyncio.sleep(0.02)
            outcomes += await submit(replica, terminate(run.id))
        return outcomes

    work = [busy(replica, f"{n}{m}") for n, replica in enumerate((storage, other)) for m in "ab"]
    *_, first, second = await asyncio.gather(
        *work, stop(storage, runs), stop(other, list(reversed(runs)))
    )

    assert sum(isinstance(outcome, Done) for outcome in first + second) == len(runs)
    assert sum(isinstance(outcome, Refused) for outcome in first + second) == len(runs)
    assert await database.value("SELECT count(*) FROM audit_entry WHERE action LIKE '%terminate'")
    await database.check_counts()
    assert await database.value(DEADLOCKS) == 0


async def test_many_first_registrations(
    database: PostgresDatabase, storage: PostgresStorage, other: PostgresStorage
) -> None:
    """Runs of one unknown agent registered through two servers at once all belong to one agent."""
    replicas = (storage, other) * 6

    outcomes = await asyncio.gather(
        *(
            submit(replica, register(f"run-{number}", schema=schema("s")))
            for number, replica in enumerate(replicas)
        )
    )

    assert all(isinstance(outcome, Done) for (outcome,) in outcomes)
    assert await database.value("SELECT count(DISTINCT agent_id) FROM agent_instance") == 1
    for table in ("agent", "agent_version", "agent_deployment", "schema_content"):
        assert await database.value(f"SELECT count(*) FROM {table}") == 1  # noqa: S608 - ours


async def test_one_server_fills_an_empty_database(empty_url: str) -> None:
    """If servers start on an empty database at once, one creates the account and its token."""
    opening = [PostgresStorage.open(empty_url) for _ in range(4)]
    replicas = await asyncio.gather(*opening)
    chance = random.Random(1)
    ids = PfidMaker(lambda: NOW, chance.randbytes)

    tokens = await asyncio.gather(
        *(
            bootstrap(replica, "", ids=ids, now=NOW, random_bytes=chance.randbytes)
            for replica in replicas
        )
    )

    assert sum(token is not None for token in tokens) == 1
    assert len(await replicas[0].accounts()) == 1
    for replica in replicas:
        await replica.close()


ENDLESS_LOAD = """
import asyncio, itertools, sys
sys.path[:0] = sys.argv[3:]
from postgres_database import PostgresDatabase, submit
from rows import ACCOUNT, create_span, request

async def main():
    storage = await PostgresDatabase(sys.argv[1]).open()
    run = await storage.instance(ACCOUNT, "run-0")
    async def client(name):
        for number in itertools.count():
            keys = [f"{name}-{number}-{item}" for item in range(20)]
            commands = [create_span(key, run, request=request(key=key)) for key in keys]
            await submit(storage, *commands)
            print(*keys, sep="\\n", flush=True)
    await asyncio.gather(*(client(sys.argv[2] + name) for name in "abcd"))

asyncio.run(main())
"""


async def test_a_server_killed_in_mid_batch(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """What a killed server acknowledged is stored, and another server accepts repeats."""
    await opened(storage)
    run = await storage.instance(ACCOUNT, "run-0")
    assert run is not None
    paths = [path for path in sys.path if Path(path).name == "support"]
    for number in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", ENDLESS_LOAD, database.url, str(number), *paths),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        answered = [await process.stdout.readline() for _ in range(200)]
        process.kill()
        answered += (await process.stdout.read()).splitlines(keepends=True)
        await process.wait()
        keys = [line.decode().strip() for line in answered if line.endswith(b"\n")]

        again = await submit(
            storage, *(create_span(key, run, request=request(key=key)) for key in keys)
        )

        assert [outcome.resource_id for outcome in again if isinstance(outcome, Done)] == keys
        assert all(isinstance(outcome, Done) and outcome.replayed for outcome in again)
        await database.check_counts()
