"""The query plans of SQLite for the statements of an operation."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from prefactor_server.storage.sqlite.connection import open_reader

# Steps of a plan that may scan rows.
HARMLESS = re.compile(
    r"SCAN (json_each VIRTUAL TABLE|CONSTANT ROW"
    r"|(change|added)\Z"  # rows that are parameters of the statement
    r"|account\Z"  # one row per account, for the operator's command line
    r"|(counted|examined|of_one)\Z"  # the rows of a limited subquery
    r"|sqlite_schema\Z)"
)


@contextmanager
def recorded(connection: sqlite3.Connection) -> Iterator[list[str]]:
    """The statements that run on a connection in the block, with their values."""
    statements = list[str]()
    connection.set_trace_callback(statements.append)
    try:
        yield statements
    finally:
        connection.set_trace_callback(None)


def plan(connection: sqlite3.Connection, statements: list[str]) -> list[str]:
    """Return the query plan of statements."""
    return [
        step[3]
        for statement in statements
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK"))
        for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]


def steps(path: Path, work: Callable[..., Any], *arguments: Any) -> list[str]:
    """Return the query plan of a read."""
    with closing(open_reader(path)) as connection:
        with recorded(connection) as statements:
            work(connection, *arguments)
        found = plan(connection, statements)
    assert found != []
    return found


def slow(found: list[str]) -> list[str]:
    """The steps that scan a table."""
    return [step for step in found if "SCAN" in step and not HARMLESS.search(step)]
