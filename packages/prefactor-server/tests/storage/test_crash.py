"""After kill -9 during commits, every acknowledged write is stored, and none partly."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from database import Database, make_database

from prefactor_server.commands.writer import Writer
from prefactor_server.storage.sqlite.backend import SqliteStorage

ROUNDS = 10

# Writes spans in batches, some of them finished, and prints what has been answered.
WRITE = """
import asyncio, itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from prefactor_server.commands.base import Done
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.runs.agent_span import PARAMS
from prefactor_server.storage.sqlite.backend import SqliteStorage
from rows import create_span, finish_span, payload, register, request, start

async def write(writer, run, caller):
    for number in itertools.count():
        span = f"{run.id}-{caller}-{number}"
        commands = [
            create_span(
                span, run, payloads=(payload(span, PARAMS, b'"%d"' % number),),
                request=request(key=span),
            ),
            create_span(f"{span}-b", run, status="pending"),
        ]
        outcomes = await writer.submit(commands, 1)
        assert all(isinstance(one, Done) for one in outcomes)
        print("created", span, flush=True)
        if number % 2:
            await writer.submit([finish_span(span, request=request(key=f"end-{span}"))], 1)
            print("finished", span, flush=True)

async def main():
    storage = SqliteStorage.open(Path(sys.argv[1]))
    writer = Writer(storage, max_queue_bytes=1 << 20)
    run_id = sys.argv[3]
    await writer.submit([register(run_id), start(run_id)], 1)
    run = await storage.instance("account-1", run_id)
    print("created", run_id, flush=True)
    await asyncio.gather(*(write(writer, run, caller) for caller in range(4)))

asyncio.run(main())
"""
COUNTS = """
SELECT run.id, run.pending_spans, run.active_spans, run.complete_spans,
       count(*) FILTER (WHERE span.status = 'pending'),
       count(*) FILTER (WHERE span.status = 'active'),
       count(*) FILTER (WHERE span.status = 'complete')
FROM agent_instance AS run LEFT JOIN agent_span AS span ON span.agent_instance_id = run.id
GROUP BY run.id
"""


def killed_while_writing(path: Path, run_id: str, after: float) -> list[list[str]]:
    """Return what a process acknowledged until it was killed, some time after its first answer."""
    support = Path(__file__).parents[1] / "support"
    child = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path), str(support), run_id],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(after)
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    # A truncated last line does not count as an answer.
    return [line.split() for line in (first + rest).split("\n")[:-1]]


async def test_a_killed_writer_loses_nothing(tmp_path: Path) -> None:
    """After each of ten kills, every acknowledged write is stored whole, once, and counted."""
    path = tmp_path / "prefactor.db"
    await (await make_database(path)).storage.close()
    answered = list[list[str]]()
    moments = random.Random(5)
    for number in range(ROUNDS):
        answered += await asyncio.to_thread(
            killed_while_writing, path, f"run{number}", moments.uniform(0, 0.15)
        )
        storage = SqliteStorage.open(path)
        check(Database(path, storage, Writer(storage, max_queue_bytes=1)), answered)
        await storage.close()

    assert len(answered) > ROUNDS


def check(database: Database, answered: list[list[str]]) -> None:
    """Compare what is stored with what was answered."""
    assert database.rows("PRAGMA integrity_check") == [("ok",)]
    runs = {row[0] for row in database.rows("SELECT id FROM agent_instance")}
    spans: dict[str, Any] = dict(database.rows("SELECT id, status FROM agent_span"))
    keys = {row[0] for row in database.rows("SELECT key FROM idempotency_key")}
    for verb, name in answered:
        assert name in runs or name in spans
        assert verb != "finished" or spans[name] == "complete"
    # A request is stored with all of its commands, its payload and its key, or not at all.
    created = {name for name in spans if not name.endswith("-b")}
    assert {f"{name}-b" for name in created} == spans.keys() - created
    assert created == {key for key in keys if not key.startswith("end-")}
    (payloads,) = database.rows("SELECT count(*) FROM span_payload")
    assert payloads == (len(created),)
    ended = {key.removeprefix("end-") for key in keys if key.startswith("end-")}
    assert ended == {name for name, status in spans.items() if status == "complete"}
    for run_id, *counts in database.rows(COUNTS):
        assert counts[:3] == counts[3:], json.dumps([run_id, counts])
