"""Claim: finding runs costs the server as much among a million runs as among a thousand.

The server's own CPU time for a request, over a connection that is kept: the first page of 20 runs,
the same with a text that one run in a hundred says, and the facets. A SQLite database is filled to
RUNS runs of 20 agents, with the words of a span each, past HTTP and checks. The floor is the first
page of the same server before it was filled.

`server_find.py 1000000` takes several minutes to fill.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from harness import Figure, finish, sized
from loadgen import Connection, Server, least_cpu_ms, new_run, request, server_on

from prefactor_server.domain.search.text import SpanText
from prefactor_server.domain.search.words import scope_word
from prefactor_server.storage.feed import Derived
from prefactor_server.storage.sqlite.search import SqliteSearch, search_path

RUNS = sized(100_000, 100)
REQUESTS, ROUNDS = sized(40, 2), sized(5, 2)
AGENTS, PART = 20, 5_000
STATUSES = ("complete",) * 17 + ("failed", "cancelled", "terminated")
LIST = "/api/v1/agent_instance?sorting=-id"
PATHS = {
    "first page of 20": LIST,
    "first page with a text": f"{LIST}&text=refund",
    "facets": "/api/v1/agent_instance/facets",
    "facets of an agent": "/api/v1/agent_instance/facets?agent_id=agent-07&status=failed",
}
GOALS = {"first page of 20": 5, "first page with a text": 20}


def rows(run: sqlite3.Row, number: int, chance: random.Random) -> Iterator[tuple[object, ...]]:
    """Runs like an existing one, with other ids, agents, statuses and times."""
    columns = list(run)
    place = {name: index for index, name in enumerate(run.keys())}
    for index in range(number):
        columns[place["id"]] = f"run-{index:09}"
        columns[place["agent_id"]] = f"agent-{chance.randrange(AGENTS):02}"
        columns[place["agent_version_id"]] = f"version-{chance.randrange(3)}"
        columns[place["status"]] = chance.choice(STATUSES)
        columns[place["failed_spans"]] = int(chance.random() < 0.1)
        columns[place["started_at"]] = run["started_at"] + index
        columns[place["finished_at"]] = run["started_at"] + index + chance.randrange(60_000_000)
        yield tuple(columns)


def fill_runs(path: Path, number: int) -> str:
    """Fill a database that no server has open; the id of its account."""
    chance = random.Random(1)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        run = connection.execute("SELECT * FROM agent_instance").fetchone()
        account = str(run["account_id"])
        marks = ", ".join("?" * len(run))
        connection.executemany(
            f"INSERT INTO agent_instance VALUES ({marks})",  # noqa: S608 - question marks
            rows(run, number, chance),
        )
        connection.executemany(
            "INSERT INTO run_span_type VALUES (?, ?, ?)",
            ((account, f"run-{index:09}", f"type-{index % 7}") for index in range(number)),
        )
        connection.commit()
    return account


def words_of(row: int) -> str:
    """The text of a span: twenty words, and `refund` in one of a hundred."""
    refund = ["refund"] if row % 100 == 0 else []
    return " ".join(["order", *(f"w{row * k % 9973}" for k in range(1, 20)), *refund])


async def fill_words(path: Path, account: str, number: int) -> None:
    """Put the words of a span of each run into the index."""
    index = SqliteSearch(search_path(path), min_free_disk_bytes=0)
    state = await index.state()
    assert state is not None, "the server did not begin an index"
    scopes = (scope_word("account", account),)
    for start in range(0, number, PART):
        documents = [
            index.document(
                (account, f"run-{row:09}", f"span-{row:09}"),
                SpanText(words_of(row), is_cut=False),
                scopes,
            )
            for row in range(start, min(start + PART, number))
        ]
        state = await index.advance(state, state, Derived(upserted=documents))
        assert state is not None
    await index.close()


async def begin(server: Server) -> float:
    """Make one run, and wait until everything that is derived from it is; the floor."""
    await new_run(server.port)
    connection = await Connection.open(server.port)
    asked = request("GET", "/api/v1/agent_instance/facets?text=anything")
    for _ in range(600):
        answer = await connection.send(asked)
        if answer.count(b'"complete":true') >= len(("counts", "derived", "search")):
            break
        await asyncio.sleep(0.1)
    connection.close()
    return await least_cpu_ms(server, LIST, ROUNDS, REQUESTS)


def main() -> None:
    """Measure on SQLite."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory(prefix="prefactor-bench-") as name:
        path = Path(name) / "bench.db"
        with server_on(path) as server:
            floor = round(asyncio.run(begin(server)), 2)
        before = time.monotonic()
        account = fill_runs(path, number)
        asyncio.run(fill_words(path, account, number))
        print(f"filled with {number:,} runs in {time.monotonic() - before:.0f} s")
        with server_on(path) as server:
            found = {
                what: asyncio.run(least_cpu_ms(server, asked, ROUNDS, REQUESTS))
                for what, asked in PATHS.items()
            }
    finish(
        *(
            Figure(
                f"{what} among {number:,} runs, SQLite",
                round(took, 1),
                GOALS.get(what, 20),
                GOALS.get(what, 20) * 4,
                "ms",
                floor,
            )
            for what, took in found.items()
        )
    )


if __name__ == "__main__":
    main()
