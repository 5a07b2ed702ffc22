"""Every statement finds its rows by an index, however small or large the tables are."""

import asyncio
import re
from typing import Any

import pytest
import pytest_asyncio
from postgres_database import PostgresDatabase, do
from rows import ACCOUNT, NOW, create_span, register, start, terminate

from patience import patience
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.storage import listing as listing_sql
from prefactor_server.storage.base import Needs, Registration
from prefactor_server.storage.postgres import read
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.load import query_for
from prefactor_server.storage.postgres.pool.plan_cache import MAX_PLAN_SECONDS, PlanRenewal
from prefactor_server.storage.postgres.tables import table_for
from prefactor_server.storage.postgres.upkeep import maintenance
from prefactor_server.storage.postgres.write_function import write_function

SPANS = f"""
INSERT INTO agent_span (id, account_id, agent_id, environment_id, agent_instance_id, schema_name,
                        inserted_at, payload_size, status, flags, result_size, updated_at)
SELECT 'span-' || number, '{ACCOUNT}', 'agent-' || number % 50, 'e',
       'run-' || number % 500 + 1, 'llm', {NOW} + number, 0, 'active', 0, 0, {NOW}
FROM generate_series(1, 20000) AS number
"""  # noqa: S608 - ours
ENTRIES_READ = """
SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
WHERE relname = 'agent_span_default' AND pg_stat_force_next_flush() IS NOT NULL
"""
REGISTRATION = Registration("my-agent", None, b"content", b"metadata", "external", "schema")
SCANNED = re.compile(r"Seq Scan on (\w+)")


@pytest_asyncio.fixture
async def filled(database: PostgresDatabase, storage: PostgresStorage) -> PostgresStorage:
    """A storage with spans that its server has never loaded."""
    await do(storage, register("run-1"))
    await database.rows(SPANS)
    return storage


def used(plan: str, table: str) -> set[str]:
    """The indexes by which a plan finds rows of a partition or table."""
    return set(re.findall(rf"Index (?:Only )?Scan using (\w+) on {table}\b", plan))


async def explained(connection: Any, sql: str, *values: object) -> str:
    """The plan of a statement."""
    return "\n".join(record[0] for record in await connection.fetch(f"EXPLAIN {sql}", *values))


async def kept_plan(connection: Any, sql: str, *values: object) -> str:
    """The plan that a connection keeps for a statement, whatever the values."""
    await connection.execute(f"PREPARE kept AS {sql}")
    try:
        given = ", ".join(map(repr, values))
        records = await connection.fetch(f"EXPLAIN EXECUTE kept ({given})")
    finally:
        await connection.execute("DEALLOCATE kept")
    return "\n".join(record[0] for record in records)


async def test_loading_reads_no_table_whole(filled: PostgresStorage) -> None:
    """The rows that a batch names are found by index, even in small tables."""
    named = {"span-1", "span-2"}
    needs = Needs(
        keys={("o", "k")},
        agents=named,
        environments=named,
        instances=named,
        spans=named,
        tokens=named,
        account=True,
        alerts={("run-1", "x")},
        environments_in_use=named,
        deployments_in_use=named,
        registrations={REGISTRATION},
        rows={
            (InstanceMetadata, "r"),
            (AgentDeployment, "d"),
            (AgentVersion, "v"),
            (AgentSchemaVersion, "s"),
            (Webhook, "w"),
            (WebhookDelivery, "d"),
        },
    )
    query = query_for({ACCOUNT: needs})

    async with filled._writing.connection() as connection:
        plan = await explained(connection, query.sql, *query.values)

    assert SCANNED.findall(plan) == []
    assert plan.count("Index") > len(query.parts)
    assert used(plan, "agent_span_default") == {"agent_span_default_pkey"}


_ARGUMENT = re.compile(r"unnest\((\w+)\)")


async def test_writing_reads_no_table_whole(filled: PostgresStorage) -> None:
    """Every statement of the function that writes a batch finds what it changes by index."""
    program = write_function()
    body = program.script.split("BEGIN", 1)[1]
    writes = r"^ *((?:UPDATE|SELECT count|WITH closed)\b.*?);$"
    statements = re.findall(writes, body, re.DOTALL | re.MULTILINE)
    plans = list[str]()
    async with filled._writing.connection() as connection:
        for number, statement in enumerate(statements):
            argument = _ARGUMENT.search(statement)
            assert argument is not None
            takes = f"{program.schema}.{argument[1]}_row[]"
            asked = _ARGUMENT.sub("unnest($1)", statement.replace(" INTO touched", ""))
            asked = re.sub(r"\bfeed_(position|at),", "0,", asked)
            asked = re.sub(r">= lowest AND (\S+) <= highest", r">= '' AND \1 <= '~'", asked)
            await connection.execute(f"PREPARE step_{number} ({takes}) AS {asked}")
            plans.append(await explained(connection, f"EXECUTE step_{number} (NULL)"))

    assert len(plans) >= 9
    assert [plan for plan in plans if SCANNED.search(plan) or "Index" not in plan] == []
    of_spans = {
        statement[:30]: used(plan, "agent_span_default")
        for statement, plan in zip(statements, plans, strict=True)
    }
    assert [indexes for indexes in of_spans.values() if indexes] == [
        {"agent_span_default_pkey"},
        {"agent_span_default_of_instance"},
    ]


def test_plans_are_renewed_as_tables_grow() -> None:
    """A connection replans each time its uses double, and at least after some time."""
    now = [0.0]
    renewal = PlanRenewal(lambda: now[0])

    renewed = [use for use in range(20) if renewal.is_due(7)]
    assert renewed == [1, 2, 4, 8, 16]
    now[0] += MAX_PLAN_SECONDS
    assert renewal.is_due(7)
    assert not renewal.is_due(7)
    renewal.forget(7)
    assert not renewal.is_due(7)
    assert renewal.is_due(7)


async def test_a_connection_replans_as_tables_grow(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A server that began on empty tables finds a run's spans among many of other runs."""
    run = await do(storage, register("run-0"))
    await do(storage, start("run-0"))
    await do(storage, register("run-last"))
    await do(storage, start("run-last"))
    await do(storage, terminate("run-0"))
    await database.rows(SPANS)
    await do(storage, create_span("of-the-last", run._replace(id="run-last")))
    for number in range(10):
        await do(storage, register(f"later-{number}"))
    read_before = await database.value(ENTRIES_READ)

    await do(storage, terminate("run-last"))

    # The server's statistics are updated with a delay.
    read_after = read_before
    async with asyncio.timeout(patience(30)):
        while read_after == read_before:
            read_after = await database.value(ENTRIES_READ)
    assert read_after - read_before < 1_000


async def test_a_run_that_statistics_do_not_show(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Spans of a new run, unknown to the statistics, are found without reading another's."""
    first = SPANS.replace("number % 500 + 1", "1").replace("number % 50", "1")
    second = first.replace("'span-'", "'new-'").replace("-' || 1", "-2'")
    await database.rows(first)
    await database.rows("ANALYZE agent_span_default")
    await database.rows(second.replace("(1, 20000)", "(1, 9)"))

    for column, index in (("agent_id", "agent"), ("agent_instance_id", "instance")):
        listing = Listing((Filter(column, "=", "run-2"),))
        clause = listing_sql.page(ACCOUNT, listing, AgentSpan._fields, "agent_span")
        sql = f"SELECT * FROM agent_span {clause.sql}"  # noqa: S608 - ours
        async with storage.span_reads.connection() as connection:
            plan = await kept_plan(connection, read.numbered(sql), *clause.parameters)
        assert used(plan, "agent_span_default") == {f"agent_span_default_of_{index}"}


async def test_every_partition_has_the_same_estimates(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Partitions made by the migration and by the server have the same planner estimates."""
    await storage.maintenance.extend_partitions(NOW, 1)

    estimates = await database.rows(
        "SELECT inhrelid, array_agg(attname || attoptions::text ORDER BY attname) FROM pg_inherits "
        "JOIN pg_attribute ON attrelid = inhrelid WHERE inhparent = 'agent_span'::regclass "
        "AND attoptions IS NOT NULL GROUP BY inhrelid"
    )
    partitions = await database.value(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'agent_span'::regclass"
    )
    assert len(estimates) == partitions > 1
    assert len({str(found) for _, found in estimates}) == 1


LISTS = {
    "spans of a run": Listing((Filter("agent_instance_id", "=", "run-7"),)),
    "spans of an agent": Listing((Filter("agent_id", "=", "agent-7"),)),
    "newest spans": Listing(sort=Sort("id", descending=True)),
    "spans after": Listing(after=Cursor("span-5", "span-5", 20)),
    "a late page": Listing(offset=15_000),
}


async def test_deliveries_with_a_status_are_read_in_order(filled: PostgresStorage) -> None:
    """The newest deliveries with a status are read from one index, without sorting."""
    listing = Listing((Filter("status", "=", "failed"),), Sort("inserted_at", descending=True))
    table = table_for(WebhookDelivery)
    clause = listing_sql.page(ACCOUNT, listing, table.columns, table.name)
    sql = f"SELECT * FROM {table.name} {clause.sql}"  # noqa: S608 - ours

    async with filled.reads.connection() as connection:
        plan = await explained(connection, read.numbered(sql), *clause.parameters)

    assert "Scan Backward using webhook_delivery_of_account_status on" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("listing", LISTS.values(), ids=LISTS)
async def test_lists_are_read_by_index(listing: Listing, filled: PostgresStorage) -> None:
    """The rows of a page of spans are read from an index."""
    clause = listing_sql.page(ACCOUNT, listing, AgentSpan._fields, "agent_span")
    sql = f"SELECT * FROM agent_span {clause.sql}"  # noqa: S608 - ours

    async with filled.span_reads.connection() as connection:
        plan = await explained(connection, read.numbered(sql), *clause.parameters)

    assert SCANNED.findall(plan) == []


async def test_a_skeleton_is_read_by_index(filled: PostgresStorage) -> None:
    """The spans of a run are read through the index of runs, and no others."""
    sql = read.READS["instance.skeleton"]

    async with filled.span_reads.connection() as connection:
        plan = await explained(connection, sql, ACCOUNT, "run-7")

    assert SCANNED.findall(plan) == []
    assert used(plan, "agent_span_default") == {"agent_span_default_of_instance"}


@pytest.mark.parametrize("sql", [maintenance._FORGET_KEYS, maintenance._FORGET_RECEIPTS])
async def test_pruning_reads_no_table_whole(sql: str, filled: PostgresStorage) -> None:
    """Old rows are found by an index on their age."""
    values = (NOW, 100) if "$2" in sql else (100,)

    async with filled._writing.connection() as connection:
        plan = await explained(connection, sql, *values)

    assert SCANNED.findall(plan) == []
    assert "_age" in plan
