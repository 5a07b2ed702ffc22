"""Claim: partitions by time cost writes and reads little, and make deleting a day cheap.

Two databases in one PostgreSQL have the same rows, one with a partition for each of thirty days and
one with plain tables. Both are written and read through the server's storage, in turns. What counts
is CPU: that of PostgreSQL's processes and of the storage. Retention deletes the first day from
both. What it writes to the log counts too, and the vacuum after rows were deleted.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import asyncpg  # type: ignore[import-untyped]  # it has no types
import psutil
from filler import Filler
from harness import Figure, Rounds, finish, interleave_async, sized

from postgres_server import DURABLE, PostgresServer, start_postgres
from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort
from prefactor_server.domain.runs.retention import Deletion, Retention
from prefactor_server.storage.maintenance import (
    FIRST_ENDED,
    RUN_SLICE,
    SPAN_SLICE,
    first_slice,
    prune_record,
)
from prefactor_server.storage.postgres.backend import PostgresStorage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

DAYS, RUNS_OF_DAY, SPANS_OF_RUN, SIZE = sized(30, 3), sized(10, 2), 50, 50
RUNS_OF_FIRST_DAY = sized(200, 2)
BATCHES, READS = sized(20, 2), sized(100, 2)
DAY = 86_400_000_000
# The first day begins a month ago, so that the ids of today have a partition too.
FIRST = time.time_ns() // 1000 // DAY * DAY

# The tables as they were before partitions.
PLAIN = """
ALTER TABLE {table} DETACH PARTITION {table}_default;
DROP TABLE {table};
ALTER TABLE {table}_default DROP CONSTRAINT {table}_default_excludes;
ALTER TABLE {table}_default RENAME TO {table};
"""


class Subject(NamedTuple):
    """A database, and the run whose skeleton is read."""

    url: str
    storage: PostgresStorage
    filler: Filler
    run_id: str
    cursor: Cursor


async def prepare(url: str, *, partitioned: bool) -> Subject:
    """Fill a database with thirty days of spans."""
    storage = await PostgresStorage.open(url)
    connection = await asyncpg.connect(url)
    if not partitioned:
        view = await connection.fetchval("SELECT pg_get_viewdef('visible_span'::regclass)")
        await connection.execute("DROP VIEW visible_span")
        for table in ("agent_span", "span_payload"):
            await connection.execute(PLAIN.format(table=table))
        await connection.execute(f"CREATE VIEW visible_span AS {view}")
    days = [FIRST]
    filler = await Filler.on(storage, lambda: days[0])
    for day in range(DAYS):
        days[0] = FIRST + day * DAY + DAY // 2
        if partitioned:
            await storage.maintenance.extend_partitions(days[0], 1)
        for _ in range(RUNS_OF_DAY if day else RUNS_OF_FIRST_DAY):
            run = await filler.new_run()
            spans = filler.spans(run, SPANS_OF_RUN)
            await filler.write(spans)
            await filler.write(filler.ends(spans))
            await filler.end(run, days[0])
        if day == DAYS // 2:
            middle, last = run.id, spans[-1].id
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return Subject(url, storage, filler, middle, Cursor(last, last, 0))


def cpu_of(server: PostgresServer) -> float:
    """Return the CPU seconds of all of PostgreSQL's processes, those included that have ended."""
    postmaster = psutil.Process(server.process.pid)
    times = postmaster.cpu_times()
    spent = times.user + times.system + times.children_user + times.children_system
    for child in postmaster.children():
        own = child.cpu_times()
        spent += own.user + own.system
    return float(spent)


def measured(
    server: PostgresServer, work: Callable[[], Awaitable[None]]
) -> Callable[[], Awaitable[float]]:
    """Return a function that does some work, and returns its CPU seconds."""

    async def measure() -> float:
        before = cpu_of(server) + time.process_time()
        await work()
        return cpu_of(server) + time.process_time() - before

    return measure


def ingest(subject: Subject) -> Callable[[], Awaitable[None]]:
    """Return a function that records spans: batches of new ones, each followed by their ends."""

    async def work() -> None:
        run = await subject.filler.new_run()
        for _ in range(BATCHES):
            spans = subject.filler.spans(run, SIZE)
            await subject.filler.write(spans)
            await subject.filler.write(subject.filler.ends(spans))

    return work


def singles(subject: Subject) -> Callable[[], Awaitable[None]]:
    """Return a function that records spans one at a time."""

    async def work() -> None:
        run = await subject.filler.new_run()
        for _ in range(READS):
            spans = subject.filler.spans(run, 1)
            await subject.filler.write(spans)
            await subject.filler.write(subject.filler.ends(spans))

    return work


def skeleton(subject: Subject) -> Callable[[], Awaitable[None]]:
    """Return a function that reads the skeleton of a run in the middle of the month."""

    async def work() -> None:
        for _ in range(READS):
            found = await subject.storage.skeleton(subject.filler.account_id, subject.run_id)
            assert len(found) == SPANS_OF_RUN

    return work


def listed(subject: Subject, listing: Listing) -> Callable[[], Awaitable[None]]:
    """Return a function that reads a page of spans."""

    async def work() -> None:
        for _ in range(READS):
            page = await subject.storage.spans(subject.filler.account_id, listing)
            assert len(page.rows) == listing.page_size

    return work


class Spent(NamedTuple):
    """What deleting a day took."""

    cpu_seconds: float
    wal_bytes: int


def deletion(subject: Subject, runs: Sequence[str]) -> Deletion:
    """Return the deletion of some runs."""
    account_id, before = subject.filler.account_id, FIRST + DAY
    record = prune_record(Retention(account_id, before), before, "bench")
    return Deletion(account_id, runs, before, before, record)


async def delete_rows(subject: Subject) -> None:
    """Delete the runs of the first day as retention does, in slices."""
    maintenance, account_id = subject.storage.maintenance, subject.filler.account_id
    deleted = 0
    while runs := await maintenance.ended_runs(account_id, FIRST + DAY, FIRST_ENDED, RUN_SLICE):
        slice_ = first_slice([(run.id, run.spans) for run in runs], SPAN_SLICE)
        deleted += (await maintenance.delete_runs(deletion(subject, slice_))).runs
    assert deleted == RUNS_OF_FIRST_DAY
    connection = await asyncpg.connect(subject.url)
    await connection.execute("VACUUM agent_span, span_payload")
    await connection.close()


async def delete_whole(subject: Subject) -> None:
    """Delete the partition of the first day."""
    maintenance = subject.storage.maintenance
    (first, *_) = await maintenance.partitions()
    runs = await maintenance.runs_of_partition(first)
    assert runs is not None
    assert len(runs) == RUNS_OF_FIRST_DAY
    all_of_it = deletion(subject, [one.run.id for one in runs])
    assert await maintenance.empty_partition(first, runs, [all_of_it])


async def spent(server: PostgresServer, url: str, work: Awaitable[None]) -> Spent:
    """Return what some work takes, its log measured from a checkpoint on."""
    connection = await asyncpg.connect(url)
    await connection.execute("CHECKPOINT")
    position = await connection.fetchval("SELECT pg_current_wal_lsn()::text")
    before = cpu_of(server) + time.process_time()
    await work
    cpu = cpu_of(server) + time.process_time() - before
    written = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1::text::pg_lsn)::bigint"
    wal = await connection.fetchval(written, position)
    await connection.close()
    return Spent(cpu, wal)


async def compare(
    server: PostgresServer,
    name: str,
    plain: Callable[[], Awaitable[None]],
    partitioned: Callable[[], Awaitable[None]],
    per: int,
) -> Rounds:
    """Measure both in turns, and print what one of `per` costs."""
    rounds = await interleave_async(
        ROUNDS, measured(server, plain), measured(server, partitioned), warm_up=2
    )
    rounds.describe(name, per=per)
    return rounds


async def main(server: PostgresServer) -> list[Figure]:
    """Measure everything."""
    plain = await prepare(server.create_database("plain"), partitioned=False)
    parts = await prepare(server.create_database("partitioned"), partitioned=True)
    newest = Listing(sort=Sort("id", descending=True), page_size=20)
    of_run = Listing((Filter("agent_instance_id", "=", plain.run_id),), page_size=20)
    of_other = Listing((Filter("agent_instance_id", "=", parts.run_id),), page_size=20)
    bulk = await compare(server, "a span in bulk", ingest(plain), ingest(parts), 2 * BATCHES * SIZE)
    single = await compare(server, "a single write", singles(plain), singles(parts), 2 * READS)
    whole = await compare(server, "a skeleton", skeleton(plain), skeleton(parts), READS)
    page = await compare(
        server, "the newest spans", listed(plain, newest), listed(parts, newest), READS
    )
    spans = await compare(
        server, "the spans of a run", listed(plain, of_run), listed(parts, of_other), READS
    )
    by_rows = await spent(server, plain.url, delete_rows(plain))
    whole_day = await spent(server, parts.url, delete_whole(parts))
    deleted = RUNS_OF_FIRST_DAY * SPANS_OF_RUN
    for name, one in (("row by row, with vacuum", by_rows), ("by partition", whole_day)):
        print(
            f"deleting {deleted} spans {name}: {one.wal_bytes / deleted:.0f} bytes of WAL and "
            f"{one.cpu_seconds / deleted * 1e6:.1f} µs a span"
        )
    for subject in (plain, parts):
        await subject.filler.close()
    return [
        Figure("ingest in bulk, plain ÷ thirty partitions", 1 / bulk.ratio, 0.95, 0.9),
        Figure("single writes, plain ÷ thirty partitions", 1 / single.ratio, 0.95, 0.8),
        Figure("skeleton, thirty partitions ÷ plain", whole.ratio, 2, 3),
        Figure("newest spans, thirty partitions ÷ plain", page.ratio, 2, 3),
        Figure("spans of a run, thirty partitions ÷ plain", spans.ratio, 2, 3),
        Figure(
            "WAL of deleting a day, partition ÷ rows",
            whole_day.wal_bytes / by_rows.wal_bytes,
            0.1,
            0.2,
        ),
        Figure(
            "CPU of deleting a day, partition ÷ rows",
            whole_day.cpu_seconds / by_rows.cpu_seconds,
            0.2,
            0.5,
        ),
    ]


ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else sized(9, 2)

if __name__ == "__main__":
    postgres = start_postgres(DURABLE)
    try:
        figures = asyncio.run(main(postgres))
    finally:
        postgres.discard()
    finish(*figures)
