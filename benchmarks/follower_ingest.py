"""Claim: the change feed and what follows it take at most a twentieth of the spans of a CPU second.

Two servers on a SQLite file each get the same requests in turns: spans of long runs that go on, and
whole short runs. One writes the feed and derives the totals of its runs, the other does neither. A
round costs what a server used until all of its totals were right, late ones included; the figure is
the spans of a CPU second with, divided by those without. In the end every total is compared with
what the spans of its run come to.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from itertools import count
from pathlib import Path

from harness import Figure, Rounds, finish, sized
from loadgen import SPAN_TYPES, Server, Spans, new_run, request, send_all, server_on

CLIENTS = sized(8, 2)
REQUESTS = sized(12, 2)
SIZE = 50
ROUNDS = sized(7, 2)
SPANS = CLIENTS * REQUESTS * SIZE
PRICES = 'currency = "USD"\n[[prices]]\nmodel = "*"\nprompt = 3\ncompletion = 15\n'
# Nothing is left to be done, and the last commit has been seen; by the index of words as well.
BEHIND = """
SELECT (SELECT count(*) FROM run_total_due) + (SELECT count(*) FROM feed_consumer
    WHERE backfill IS NOT NULL OR position < (SELECT max(position) FROM feed_change))
"""
LAST = "SELECT max(position) FROM feed_change"
INDEXED = "SELECT coalesce(min(position), 0) FROM consumer WHERE backfill IS NULL"
WRONG = """
SELECT count(*) FROM agent_instance AS run
LEFT JOIN run_total AS total ON total.account_id = run.account_id AND total.id = run.id
WHERE total.cost IS NULL OR total.cost <> 3000 * (
    SELECT sum(prompt_tokens) FROM agent_span AS span
    WHERE span.account_id = run.account_id AND span.agent_instance_id = run.id)
"""

_numbers = count()


def short_runs() -> bytes:
    """Five whole runs of ten spans each, in a request."""
    items: list[dict[str, object]] = []
    schema = {"external_identifier": "1", "span_type_schemas": SPAN_TYPES}
    for _ in range(5):
        run_id = f"short-{next(_numbers):08}"
        whole = [
            {"_type": "agent_instances/register", "agent_id": "bench", "id": run_id}
            | {"agent_schema_version": schema},
            {"_type": "agent_instances/start", "agent_instance_id": run_id},
            *json.loads(Spans(run_id).bulk(SIZE // 5).partition(b"\r\n\r\n")[2])["items"],
            {"_type": "agent_instances/finish", "agent_instance_id": run_id, "status": "complete"},
        ]
        items += [{"idempotency_key": f"{run_id}-{n}-key", **one} for n, one in enumerate(whole)]
    return request("POST", "/api/v1/bulk", {"items": items})


def value(database: Path, query: str) -> int:
    """The number that a query finds."""
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(query).fetchone()[0])


def is_behind(database: Path) -> bool:
    """Whether anything that follows the feed of a server is behind."""
    words = database.with_name(f"{database.name}.search")
    return value(database, BEHIND) > 0 or value(words, INDEXED) < value(database, LAST)


async def round_of(server: Server, makers: list[Spans], database: Path, *, follows: bool) -> float:
    """The CPU seconds of one round."""
    requests = [
        [short_runs() if number % 2 else maker.bulk(SIZE) for number in range(REQUESTS)]
        for maker in makers
    ]
    before = server.cpu_seconds
    await send_all([server.port], requests)
    while follows and is_behind(database):  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.1)
    return server.cpu_seconds - before


async def measure(folder: Path) -> Rounds:
    """Both servers in turns."""
    floor, subject = folder / "floor.db", folder / "subject.db"
    prices = folder / "prices.toml"
    prices.write_text(PRICES)
    unfollowed = (sys.executable, Path(__file__).with_name("unfollowed.py"))
    environ = {"PREFACTOR_PRICE_FILE": str(prices)}
    costs: tuple[list[float], list[float]] = ([], [])
    with (
        server_on(floor, unfollowed, **environ) as without,
        server_on(subject, **environ) as following,
    ):
        sides = [
            (without, [Spans(await new_run(without.port)) for _ in range(CLIENTS)], floor),
            (following, [Spans(await new_run(following.port)) for _ in range(CLIENTS)], subject),
        ]
        for number in range(-1, ROUNDS):
            for which in (0, 1) if number % 2 else (1, 0):
                server, makers, database = sides[which]
                cost = await round_of(server, makers, database, follows=which == 1)
                if number >= 0:
                    costs[which].append(cost)
    assert value(floor, "SELECT count(*) FROM feed_change") == 0
    wrong, runs = value(subject, WRONG), value(subject, "SELECT count(*) FROM run_total")
    assert (wrong, runs) == (0, value(subject, "SELECT count(*) FROM agent_instance"))
    return Rounds(*costs)


def main() -> None:
    """Measure, and compare."""
    with tempfile.TemporaryDirectory(prefix="prefactor-bench-") as folder:
        rounds = asyncio.run(measure(Path(folder)))
    rounds.describe("server CPU per span, with the follower", SPANS)
    finish(
        Figure(
            "spans per CPU second, with the change feed and its follower ÷ without",
            1 / rounds.ratio,
            0.95,
            0.85,
        )
    )


if __name__ == "__main__":
    main()
