"""Statements over any number of rows handle each row once, in order."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from database import make_database
from rows import ACCOUNT, create_span, finish_span, register, start

from prefactor_server.commands.agent_span import CreateSpan, FinishSpan
from prefactor_server.domain.runs.agent_span import PARAMS, RESULT, SpanPayload
from prefactor_server.payloads import RAW
from prefactor_server.storage.sqlite.statements import Statement
from prefactor_server.storage.sqlite.tables import COUNTED_RUN


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """A database with one table."""
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.execute("CREATE TABLE thing (number INTEGER PRIMARY KEY, name TEXT)")
        yield opened


@pytest.mark.parametrize("sizes", [(100, 20, 5, 1), (64, 32, 16, 8, 4, 2, 1)])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 19, 20, 26, 99, 100, 126, 333])
def test_every_row_is_handled_once_and_in_order(
    connection: sqlite3.Connection, count: int, sizes: Sequence[int]
) -> None:
    """However rows are divided among statements, each is handled once."""
    insert = Statement(1, "INSERT INTO thing (name) VALUES {rows}", sizes=sizes)
    named = [(f"row {number}",) for number in range(count)]
    insert.run(connection, named)

    assert connection.execute("SELECT name FROM thing ORDER BY number").fetchall() == named


def test_an_update_of_many_rows_gives_each_its_values(connection: sqlite3.Connection) -> None:
    """Rows updated together each get their own values, and others are unchanged."""
    Statement(2, "INSERT INTO thing VALUES {rows}").run(connection, [(n, "-") for n in range(200)])
    update = Statement(
        2,
        "WITH change (number, name) AS (VALUES {rows}) "
        "UPDATE thing SET name = change.name FROM change WHERE thing.number = change.number",
    )
    update.run(connection, [(n, f"new {n}") for n in range(0, 200, 2)])

    found = connection.execute("SELECT name FROM thing ORDER BY number").fetchall()
    assert found == [(f"new {n}" if n % 2 == 0 else "-",) for n in range(200)]


def test_a_single_row_has_a_statement_of_its_own(connection: sqlite3.Connection) -> None:
    """A statement for a single row does for it what the common one does for many."""
    Statement(2, "INSERT INTO thing VALUES {rows}").run(connection, [(n, "-") for n in range(8)])
    update = Statement(
        2,
        "WITH change (name, number) AS (VALUES {rows}) "
        "UPDATE thing SET name = change.name FROM change WHERE thing.number = change.number",
        one="UPDATE thing SET name = ? WHERE number = ?",
    )
    update.run(connection, [(f"new {n}", n) for n in range(6)])

    found = connection.execute("SELECT name FROM thing ORDER BY number").fetchall()
    assert found == [(f"new {n}" if n < 6 else "-",) for n in range(8)]


async def test_payloads_belong_to_their_own_spans(tmp_path: Path) -> None:
    """Payloads of new and stored spans in one batch, of any size, stay with their spans."""
    database = await make_database(tmp_path / "prefactor.db")
    await database.submit(register("r"), start("r"))
    run = await database.run("r")

    def create(name: str) -> CreateSpan:
        body = SpanPayload(ACCOUNT, name, PARAMS, RAW, name.encode())
        return create_span(name, run, payloads=(body,))

    def finish(name: str) -> FinishSpan:
        body = SpanPayload(ACCOUNT, name, RESULT, RAW, f"end of {name}".encode())
        return finish_span(name, payloads=(body,))

    before = [f"old-{number}" for number in range(7)]
    after = [f"new-{number}" for number in range(131)]
    await database.submit(*(create(name) for name in before))
    await database.submit(*(finish(name) for name in before), *(create(name) for name in after))

    for name in (*before, *after):
        record = await database.storage.span(ACCOUNT, name)
        assert record is not None
        assert record.payload == name.encode()
        assert record.result == (f"end of {name}".encode() if name in before else None)
    await database.storage.close()


@pytest.mark.parametrize("number", [1, 5])
async def test_counting_spans_leaves_most_indexes_alone(tmp_path: Path, number: int) -> None:
    """Counting spans on runs writes no index over the status or the times of runs."""
    database = await make_database(tmp_path / "prefactor.db")
    await database.submit(register("r"), start("r"))
    run = await database.run("r")
    statements: list[str] = []
    with closing(sqlite3.connect(tmp_path / "prefactor.db")) as connection:
        connection.set_trace_callback(statements.append)
        COUNTED_RUN.run_update(connection, [run.count_span("active", 1)] * number)
        connection.set_trace_callback(None)
        names = dict(connection.execute("SELECT rootpage, name FROM sqlite_schema"))
        explained = connection.execute(f"EXPLAIN {statements[-1]}").fetchall()
        connection.rollback()
    await database.storage.close()

    # A cursor that is opened for writing may only search.
    opened = {step[2]: names[step[3]] for step in explained if step[1] == "OpenWrite"}
    written = {
        opened[step[2]]
        for step in explained
        if step[1] in {"Insert", "IdxInsert", "IdxDelete"} and step[2] in opened
    }
    assert written == {"agent_instance", "agent_instance_failed_spans"}
