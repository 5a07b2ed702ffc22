"""A database with partitions of chosen days, and what a test asks of them."""

import time
from typing import Any

from postgres_database import PostgresDatabase, do
from rows import ACCOUNT, create_span, payload, register, start

from prefactor_server.domain.pfid import RANDOM_BYTES, encode
from prefactor_server.domain.runs.agent_span import PARAMS
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.connection import connect
from prefactor_server.storage.postgres.migrate import all_migrations
from prefactor_server.storage.postgres.upkeep.partitions import PARTITIONED, ranges

DAY = 86_400_000_000
# The first moment of today.
TODAY = time.time_ns() // 1000 // DAY * DAY
TEXT = b'{"text":"' + b"lorem ipsum " * 50 + b'"}'
_PLACES = "SELECT id, tableoid::regclass::text FROM agent_span"
_numbers = iter(range(1, 100_000))


def span_id(day: int) -> str:
    """Return a new id from a clock that is some days ahead of the first moment of today."""
    randomness = next(_numbers).to_bytes(RANDOM_BYTES, "big")
    return encode((TODAY + day * DAY) // 1000 + 1000, 7, randomness)


async def add_span(storage: PostgresStorage, run: Any, span: str) -> None:
    """Store a span with a payload."""
    payloads = (payload(span, PARAMS, TEXT),)
    await do(storage, create_span(span, run, payload_size=len(TEXT), payloads=payloads))


async def started(storage: PostgresStorage, run_id: str = "run-1") -> Any:
    """Return a run that has started."""
    await do(storage, register(run_id))
    await do(storage, start(run_id))
    return await storage.instance(ACCOUNT, run_id)


async def place(database: PostgresDatabase, span: str) -> str:
    """Return the day of the partition that a span and its payload are in, or `default`."""
    (spans,) = await database.rows(f"{_PLACES} WHERE id = $1", span)
    payloads = "SELECT DISTINCT tableoid::regclass::text FROM span_payload WHERE span_id = $1"
    of_span = spans[1].removeprefix("agent_span_")
    assert await database.value(payloads, span) == f"span_payload_{of_span}"
    return str(of_span)


def date(day: int) -> str:
    """Return the name that a partition from that day on has."""
    return time.strftime("%Y_%m_%d", time.gmtime((TODAY + day * DAY) // 1_000_000))


async def check_without_gaps(database: PostgresDatabase) -> None:
    """Every id of the coming years has a partition by time."""
    connection = await connect(database.url)
    try:
        for table in PARTITIONED:
            found = await ranges(connection, table)
            assert [one.high for one in found] == [*(one.low for one in found[1:]), "02"]
    finally:
        await connection.close()


async def migrate_to(url: str, version: int) -> None:
    """Bring an empty database to the schema of an earlier version."""
    connection = await connect(url)
    await connection.execute(
        "CREATE TABLE migration (version bigint PRIMARY KEY, name text NOT NULL, "
        "checksum text NOT NULL, applied_at bigint NOT NULL)"
    )
    for one in all_migrations()[:version]:
        await connection.execute(one.sql)
        values = (one.version, one.name, one.checksum, 1)
        await connection.execute("INSERT INTO migration VALUES ($1, $2, $3, $4)", *values)
    await connection.close()
