"""The function that writes a batch in one call: one round trip and one transaction.

It returns the position of its commit, which saves another round trip.

Inserts and updates are generated from the tables; the other steps are in ``write.sql``. The
function and the types of its arguments are in a database schema named after a digest of their text.
Servers of different versions can therefore share a database, each with a function that fits its
rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from prefactor_server.domain.agent import Agent
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.alert import MAX_RAISED, Alert
from prefactor_server.domain.runs.webhooks.webhook import MAX_WEBHOOKS, Webhook
from prefactor_server.storage.postgres.tables import (
    ATTACHMENTS,
    COUNTERS,
    DELETED,
    LAST_SEEN,
    TABLES,
    Table,
    column_types,
    table_for,
)
from prefactor_server.storage.sql import load_sql

_STEPS: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.postgres.sql", "write.sql")
_PREFIX: Final = "prefactor_write_"
# The checks that count stored rows, and their limits: another server may have added some.
_LIMITS: Final[Mapping[type[Any], tuple[str, int]]] = {
    Alert: ("alerts.full", MAX_RAISED),
    Webhook: ("webhooks.full", MAX_WEBHOOKS),
}


class WriteFunction(NamedTuple):
    """The schema's name, the script that creates it, and the statement that writes a batch."""

    schema: str
    script: str
    call: str


@cache
def write_function() -> WriteFunction:
    """Return the function for the tables of this version of the server."""
    text = "\n".join([*_types(), _function()])
    schema = _PREFIX + hashlib.sha256(text.encode()).hexdigest()[:12]
    marks = ", ".join(f"${number}" for number in range(1, len(_parameters()) + 2))
    return WriteFunction(
        schema,
        f"CREATE SCHEMA {schema};\n{text.replace('{schema}', schema)}",
        f"SELECT {schema}.write_batch({marks})",
    )


@cache
def argument_names() -> Sequence[str]:
    """Return the names of the arguments after the receipt, in order."""
    return tuple(_parameters())


def _types() -> Iterator[str]:
    for name, columns in _parameters().items():
        listed = ",\n    ".join(f"{column} {sql_type}" for column, sql_type in columns.items())
        yield f"CREATE TYPE {{schema}}.{name}_row AS (\n    {listed}\n);"


@cache
def _parameters() -> Mapping[str, Mapping[str, str]]:
    """Return the arguments after the receipt, in order, with the columns of their rows."""
    parameters: dict[str, Mapping[str, str]] = {"runs": _run_columns()}
    for table in DELETED:
        types = column_types(table.kind)
        identity = {column: types[column] for column in table.identity}
        parameters[f"deleted_{table.name}"] = {**identity, "revision": "bigint"}
    for table in TABLES:
        types = column_types(table.kind)
        parameters[f"new_{table.name}"] = types
        if table.versioned and table.kind is not AgentInstance:
            identity = {column: types[column] for column in table.identity}
            mutable = {column: types[column] for column in table.mutable}
            parameters[f"changed_{table.name}"] = {**identity, "revision": "bigint", **mutable}
    for name, kind in ATTACHMENTS.items():
        parameters[f"new_{name}"] = column_types(kind)
    return parameters


def _run_columns() -> Mapping[str, str]:
    run, types = table_for(AgentInstance), column_types(AgentInstance)
    return {
        **{column: types[column] for column in run.identity},
        "revision": "bigint",
        "moved": "boolean",
        "closed_at": "bigint",
        **{column: types[column] for column in (*run.mutable, LAST_SEEN, *COUNTERS)},
    }


def _function() -> str:
    parameters = "".join(f",\n    {name} {{schema}}.{name}_row[]" for name in _parameters())
    body = "\n".join(_body())
    return (
        f"CREATE FUNCTION {{schema}}.write_batch(\n    receipt uuid{parameters}\n"
        ") RETURNS bigint LANGUAGE plpgsql AS $body$\n"
        "#variable_conflict use_column\nDECLARE\n    touched bigint;\n"
        "    feed_position bigint;\n    feed_at bigint;\n"
        '    lowest text COLLATE "C";\n    highest text COLLATE "C";\nBEGIN\n'
        f"{body}\nRETURN feed_position;\nEND\n$body$;"
    )


def _body() -> Iterator[str]:
    yield _STEPS["receipt"]
    yield _STEPS["feed.position"]
    yield _when("runs", _STEPS["runs.lock"] + _expect("cardinality(runs)", "a run has changed"))
    yield _STEPS["deleted.make_room"]
    yield _when("new_agent", _STEPS["agents.lock"])
    # Deletions come first, because a new row may have the same key as a deleted one.
    for table in DELETED:
        yield _delete(table)
    for table in TABLES:
        # Spans: the stored ones that the batch names, then those that a termination closes, then
        # the new ones.
        if table.versioned and table.kind is not AgentInstance:
            yield _update(table)
        if table.kind is AgentSpan:
            yield _when("runs", _STEPS["runs.close_spans"])
        yield _insert(table)
        if table.kind is Agent:
            check = _STEPS["agents.ambiguous"] + _expect("0", "an identifier of an agent is taken")
            yield _when("new_agent", check)
        if table.kind in _LIMITS:
            step, most = _LIMITS[table.kind]
            check = _STEPS[step].replace("{most}", str(most)) + _expect("0", "a limit is passed")
            yield _when(f"new_{table.name}", check)
    yield _when("new_span_payload", _STEPS["payloads"])
    yield _when("new_schema_content", _STEPS["contents"])
    yield _when("new_audit_entry", _STEPS["audit"])
    yield _when("runs", _STEPS["runs.update"])
    yield _when("new_feed_change", _STEPS["feed.append"])


def _insert(table: Table[Any]) -> str:
    columns = ", ".join(table.columns)
    name = f"new_{table.name}"
    return _when(
        name,
        f"INSERT INTO {table.name} ({columns})\nSELECT {columns} FROM unnest({name});",
    )


def _delete(table: Table[Any]) -> str:
    name = f"deleted_{table.name}"
    matching = " AND ".join(f"stored.{column} = gone.{column}" for column in table.identity)
    return _when(
        name,
        f"DELETE FROM {table.name} AS stored\n"  # noqa: S608 - our own names
        f"USING unnest({name}) AS gone\n"
        f"WHERE {matching} AND stored.revision = gone.revision;\n"
        "GET DIAGNOSTICS touched = ROW_COUNT;"
        + _expect(f"cardinality({name})", f"a row of {table.name} has changed"),
    )


def _update(table: Table[Any]) -> str:
    name = f"changed_{table.name}"
    assignments = ", ".join(f"{column} = change.{column}" for column in table.mutable)
    matching = " AND ".join(f"stored.{column} = change.{column}" for column in table.identity)
    first = ""
    if table.kind is AgentSpan:
        # These bounds let PostgreSQL skip partitions before the statement begins.
        first = f"SELECT min(id), max(id) INTO lowest, highest FROM unnest({name});\n"  # noqa: S608
        matching += " AND stored.id >= lowest AND stored.id <= highest"
    return _when(
        name,
        first + f"UPDATE {table.name} AS stored\n"
        f"SET {assignments}, revision = stored.revision + 1\n"
        f"FROM unnest({name}) AS change\n"
        f"WHERE {matching} AND stored.revision = change.revision;\n"
        "GET DIAGNOSTICS touched = ROW_COUNT;"
        + _expect(f"cardinality({name})", f"a row of {table.name} has changed"),
    )


def _when(argument: str, statements: str) -> str:
    """Return the statements, run only if an array is not empty."""
    return f"IF cardinality({argument}) > 0 THEN\n{statements}\nEND IF;"


def _expect(number: str, otherwise: str) -> str:
    """Return a check of the row count. If it fails, the batch is decided again."""
    return (
        f"\nIF touched <> {number} THEN\n"
        f"    RAISE EXCEPTION '{otherwise}' USING ERRCODE = 'serialization_failure';\nEND IF;"
    )
