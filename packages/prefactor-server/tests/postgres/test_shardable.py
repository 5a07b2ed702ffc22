"""The named SQL allows runs to be distributed over several databases.

A run and all its rows would be in one database. A statement on tables of runs therefore names the
run wherever it is known, and the exceptions are listed here with their reasons. Statements for any
table, with ``{table}``, take the ids of rows. Ids of spans have the partition bits of their run.
"""

import re
from collections.abc import Mapping
from importlib.resources import files

import pytest
from postgres_database import PostgresDatabase

from prefactor_server.storage.postgres.named_statements import with_numbers
from prefactor_server.storage.sql import load_sql

_PACKAGE = "prefactor_server.storage.postgres.sql"
# The column that names a row's run. The id of a span has the partition bits of its run.
RUN_COLUMN = {
    "agent_instance": "id",
    "agent_instance_metadata": "id",
    "agent_instance_metadata_entry": "agent_instance_id",
    "agent_instance_quality": "id",
    "agent_span": "agent_instance_id|id",
    "alert": "agent_instance_id",
    "deleted_run": "id",
    "legal_hold": "agent_instance_id",
    "run_heartbeat": "id",
    "run_span_type": "agent_instance_id",
    "run_total": "id",
    "run_total_due": "id",
    "search_document": "agent_instance_id",
    "series_late_span": "agent_instance_id",
    "series_run_end": "agent_instance_id",
    "span_payload": "span_id",
    "visible_span": "agent_instance_id|id",
}
STATEMENTS = {
    f"{file.name.removesuffix('.sql')}/{name}": re.sub(r"--.*", "", with_numbers(text).sql)
    for file in sorted(files(_PACKAGE).iterdir(), key=lambda file: file.name)
    if file.name.endswith(".sql")
    for name, text in load_sql(_PACKAGE, file.name).items()
}


_WORDS = "WHERE|JOIN|ON|SET|AS|ORDER|GROUP|USING|CROSS|LEFT|LIMIT|SELECT|DO"


def run_tables(text: str) -> Mapping[str, set[str]]:
    """The tables of runs that a statement reads or writes, each with its names there."""
    found: dict[str, set[str]] = {}
    named = rf"\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+(\w+)(?:\s+(?:AS\s+)?(?!(?:{_WORDS})\b)(\w+))?"
    for table, alias in re.findall(named, text):
        if table in RUN_COLUMN:
            found.setdefault(table, {table}).add(alias or table)
    return found


def names_the_run(text: str) -> bool:
    """Whether all tables of runs are joined on one run, and a value says which."""
    tables = run_tables(text)
    of_runs = set().union(*tables.values())
    joined, given = set[str](), set[str]()
    for table, names in tables.items():
        column = rf"(?<![\w.])(?:(?:{'|'.join(names)})\.)?(?:{RUN_COLUMN[table]})\b"
        others = re.findall(rf"{column} = (ANY|\$|\w+(?=\.))", text)
        others += re.findall(rf"(?<![\w.])(\w+)\.\w+ = {column}", text)
        if re.search(rf"INTO {table}\b[^;]*?\([^)]*\b(?:{RUN_COLUMN[table]})\b", text):
            others.append("$")
        if others:
            joined.add(table)
        if set(others) - of_runs:
            given.add(table)
    return bool(given) and joined == set(tables)


OVER_MANY_RUNS = {
    "feed/backfill.runs": "the backfill goes through all runs",
    "heartbeats/is_waiting": "asks whether any run is to be watched",
    "heartbeats/silent": "finds the runs that are silent",
    "heartbeats/abandoned": "finds the runs that were abandoned",
    "heartbeats/unwritten": "finds the runs that nothing is written to",
    "heartbeats/forget": "upkeep of all runs",
    "load/agents.instances": "finds a run of an agent, whose id nobody knows",
    "load/deployments.instances": "finds a run of a deployment, whose id nobody knows",
    "load/registrations.instances": "finds a run by its external identifier",
    "maintenance/probe.read": "asks whether tables exist",
    "maintenance/verify.runs": "verification goes through everything",
    "maintenance/verify.spans": "verification goes through everything",
    "maintenance/verify.payloads": "verification goes through everything",
    "maintenance/prune.preview": "finds the runs to delete",
    "maintenance/prune.held": "counts the held ones among the runs to delete",
    "maintenance/prune.lock": "finds the runs to delete",
    "maintenance/retention.ended": "finds the runs to delete",
    "maintenance/retention.unended": "finds the runs that keep old rows in use",
    "maintenance/deleted.lock": "finds a run whose spans are to be deleted",
    "partitions/empty.payload_bytes": "adds up a partition, whatever its runs are",
    "maintenance/hold.all": "lists the holds of an account",
    "reads/agent.use": "the latest run of each agent on a page: the only subquery over runs for "
    "each row of another table",
    "reads/agent.instance_counts": "counts the runs of an agent",
    "reads/instance.page": "a list of runs",
    "reads/span.page": "a list of spans; with a filter for the run, the filter names it",
    "reads/risk.instances_of_agent": "goes through the runs of an agent",
    "reads/risk.recorded_types": "counts the spans of an agent",
    "run_totals/totals.due": "finds the runs to be counted",
    "run_totals/totals.other_prices": "finds the runs to be counted again",
    "run_totals/totals.other_profiles": "finds the runs to be counted again",
    "search/search.find": "finds spans of any run by their words",
}
LOCKS_SEVERAL_RUNS = {
    "heartbeats/forget": "heartbeats alone, skipping locked ones; would run on each shard",
    "maintenance/deleted.lock": "one mark, skipping locked ones; would run on each shard",
    "maintenance/prune.lock": "skips locked runs, so nobody waits; would run on each shard",
    "maintenance/prune.lock_runs": "skips locked runs, so nobody waits; would run on each shard",
    "write/runs.lock": "a batch of several runs; would be one statement per run",
}
USES_CTID = {"heartbeats/forget": "in one statement with the rows; would run on each shard"}
ROWS_AS_ARRAY = {
    "reads/agent.page": "agents are not distributed, but what is known of their runs would be",
    "reads/instance.page": "a list over all runs would be merged by the server",
    "reads/row.page": "a list over all runs would be merged by the server",
    "reads/span.page": "a list over all runs would be merged by the server",
    "reads/span.payloads": "the payloads of one span, which are in the place of the span",
}


def _found(pattern: str) -> set[str]:
    return {name for name, text in STATEMENTS.items() if re.search(pattern, text)}


def test_statements_name_the_run() -> None:
    """A statement on tables of runs names the run, except for listed ones that search for runs."""
    unnamed = {name for name, text in STATEMENTS.items() if run_tables(text)}
    unnamed -= {name for name, text in STATEMENTS.items() if names_the_run(text)}

    assert unnamed == set(OVER_MANY_RUNS)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "SELECT 1 FROM agent_span AS s WHERE s.account_id = $1 AND s.agent_instance_id = $2",
            True,
        ),
        ("SELECT 1 FROM agent_span WHERE account_id = $1 AND schema_name = $2", False),
        (
            "SELECT 1 FROM agent_instance AS r JOIN legal_hold AS h ON h.agent_instance_id = r.id",
            False,
        ),
        ("SELECT 1 FROM legal_hold AS h JOIN agent AS a ON a.id = $1", False),
        ("UPDATE run_total SET tokens = 1 WHERE account_id = $1", False),
        ("INSERT INTO legal_hold (account_id, agent_instance_id) VALUES ($1, $2)", True),
    ],
)
def test_a_statement_without_the_run_is_found(statement: str, named: bool) -> None:
    """The check recognises a named run, and a join that names none."""
    assert names_the_run(statement) is named


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (r"\bctid\b", USES_CTID),
        (r"FOR (?:NO KEY )?UPDATE", LOCKS_SEVERAL_RUNS),
    ],
)
def test_no_statement_depends_on_one_database(pattern: str, allowed: Mapping[str, str]) -> None:
    """Only listed statements use physical places, or lock several runs at once."""
    found = {name for name in _found(pattern) if run_tables(STATEMENTS[name])}

    assert found - {"maintenance/hold.run"} == set(allowed)


def test_rows_are_not_collected_into_arrays() -> None:
    """Only listed statements collect rows into an array, which no other database can merge."""
    assert _found(r"ARRAY\s*\(\s*SELECT ROW") == set(ROWS_AS_ARRAY)


async def test_text_has_one_order_everywhere(database: PostgresDatabase) -> None:
    """Text compares by its bytes, so all databases agree on the order of ids."""
    other = await database.rows(
        """
        SELECT class.relname, field.attname FROM pg_attribute AS field
        JOIN pg_class AS class ON class.oid = field.attrelid AND class.relkind IN ('r', 'p')
        JOIN pg_namespace AS space ON space.oid = class.relnamespace AND space.nspname = 'public'
        JOIN pg_collation AS sorting ON sorting.oid = field.attcollation
        WHERE field.attnum > 0 AND NOT field.attisdropped AND sorting.collname <> 'C'
            AND class.relname <> 'migration'
        ORDER BY 1, 2
        """
    )

    assert other == []
