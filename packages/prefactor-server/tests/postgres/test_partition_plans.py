"""Over thirty partitions, a statement reads only those that can hold its ids."""

import json
from collections.abc import Iterator
from typing import Any

import pytest_asyncio
from partitions import DAY, TODAY, add_span, date, span_id, started
from rows import ACCOUNT

from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.storage import listing as listing_sql
from prefactor_server.storage.base import Needs
from prefactor_server.storage.postgres import read
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.load import query_for

DAYS = 30
NEWEST = Sort("id", descending=True)


@pytest_asyncio.fixture
async def filled(storage: PostgresStorage) -> list[str]:
    """The ids of spans of one run, a span in each of thirty partitions."""
    run = await started(storage)
    ids = [span_id(day) for day in range(DAYS)]
    for day, span in enumerate(ids):
        await storage.maintenance.extend_partitions(TODAY + day * DAY + 1, 1)
        await add_span(storage, run, span)
    return ids


async def touched(connection: Any, sql: str, *values: object) -> set[str]:
    """Return the partitions of spans that a statement reads rows of, by their days.

    A statement that is prepared has the plan that its connection would use.
    """
    given = f"({', '.join(map(_literal, values))})" if values else ""
    await connection.execute(f"PREPARE asked AS {sql}")
    try:
        explained = f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked {given}"
        plan = json.loads(await connection.fetchval(explained))[0]["Plan"]
    finally:
        await connection.execute("DEALLOCATE asked")
    scans = [node for node in _nodes(plan) if "Relation Name" in node and node["Actual Loops"] > 0]
    names = {node["Relation Name"] for node in scans}
    return {name.removeprefix("agent_span_") for name in names if name.startswith("agent_span")}


def _literal(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"ARRAY[{', '.join(map(_literal, value))}]"
    return str(value) if isinstance(value, int) else f"'{value}'"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


async def test_a_batch_loads_from_the_partitions_of_its_spans(
    storage: PostgresStorage, filled: list[str]
) -> None:
    """A batch loads a span by id from the partition of that id."""
    query = query_for({ACCOUNT: Needs(spans={filled[7]})})

    async with storage._writing.connection() as connection:
        found = await touched(connection, query.sql, *query.values)

    assert found == {date(7)}


async def test_spans_by_id_are_read_from_their_partitions(
    storage: PostgresStorage, filled: list[str]
) -> None:
    """Spans are read by id from the partitions of their days."""
    async with storage.span_reads.connection() as connection:
        one = await touched(connection, read.READS["span.by_id"], ACCOUNT, filled[3])
        ids = [filled[3], filled[9]]
        two = await touched(connection, read.READS["span.by_ids"], ACCOUNT, ids, *ids)

    assert (one, two) == ({date(3)}, {date(3), date(9)})


async def _page(storage: PostgresStorage, listing: Listing) -> set[str]:
    clause = listing_sql.page(ACCOUNT, listing, AgentSpan._fields, "agent_span")
    sql = f"SELECT id FROM agent_span {clause.sql}"  # noqa: S608 - ours
    async with storage.span_reads.connection() as connection:
        return await touched(connection, read.numbered(sql), *clause.parameters)


async def test_a_page_after_a_cursor(storage: PostgresStorage, filled: list[str]) -> None:
    """A page of spans after a cursor does not read newer partitions."""
    after = Cursor(filled[5], filled[5], 20)

    found = await _page(storage, Listing(sort=NEWEST, after=after, page_size=2))

    assert found <= {*(date(day) for day in range(6)), "default"}


async def test_a_run_may_have_spans_in_every_partition(
    storage: PostgresStorage, filled: list[str]
) -> None:
    """A run's spans are read from all partitions, because clients may choose any ids."""
    of_run = Listing((Filter("agent_instance_id", "=", "run-1"),), page_size=DAYS)
    async with storage.span_reads.connection() as connection:
        found = await touched(connection, read.READS["instance.skeleton"], ACCOUNT, "run-1")

    assert found >= {date(day) for day in range(DAYS)}
    assert {span.id for span in await storage.skeleton(ACCOUNT, "run-1")} == set(filled)
    assert [one.span.id for one in (await storage.spans(ACCOUNT, of_run)).rows] == filled


async def test_reads_of_spans_are_planned_once(storage: PostgresStorage, filled: list[str]) -> None:
    """A repeated read of spans does not plan all partitions again."""
    of_run = Listing((Filter("agent_instance_id", "=", "run-1"),), page_size=DAYS)
    for _ in range(9):
        assert len(await storage.skeleton(ACCOUNT, "run-1")) == DAYS
        assert len((await storage.spans(ACCOUNT, of_run)).rows) == DAYS
        assert await storage.span(ACCOUNT, filled[3]) is not None
        assert len(await storage.spans_by_id(ACCOUNT, filled[3:5])) == 2
        assert len(await storage.span_usage(ACCOUNT, ["run-1"])) == 1
        await storage.run_totals.first_summaries(ACCOUNT, ["run-1"])
        assert len(await storage.facets.each_text(ACCOUNT, filled[3:5], lambda one: one.id)) == 2

    async with storage.span_reads.connection() as connection:
        plans = await connection.fetch(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements "
            "WHERE statement ~ 'FROM (agent|visible)_span' AND statement !~ 'pg_prepared'"
        )
    assert [tuple(one) for one in plans] == [(9, 0)] * 7
