"""After kill -9 of a follower, nothing is derived twice or missing."""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

from backends import open_storage, rows
from counting import counting
from tally import catch_up, create_account

from prefactor_server.databases import is_on_server

PROGRAM = Path(__file__).parents[1] / "support" / "counting.py"
SUPPORT = Path(__file__).parents[4] / "tests" / "support"
ROUNDS = 2
FINISHED = """
SELECT count(*) FROM agent_span AS span
WHERE status NOT IN ('pending', 'active')
"""
WRONG = """
SELECT span.id FROM agent_span AS span
LEFT JOIN run_total_due AS told ON told.account_id = span.account_id AND told.id = span.id
WHERE coalesce(told.since, 0) <> CASE WHEN status IN ('pending', 'active') THEN 0 ELSE 1 END
"""


# A terminated run has one alert, and no other run has any.
WRONG_ALERTS = """
SELECT run.id FROM agent_instance AS run LEFT JOIN alert
  ON alert.account_id = run.account_id AND alert.agent_instance_id = run.id
GROUP BY run.id, run.status
HAVING count(alert.id) <> CASE WHEN run.status = 'terminated' THEN 1 ELSE 0 END
"""
TYPES = "SELECT DISTINCT agent_instance_id, schema_name FROM agent_span ORDER BY 1, 2"
DERIVED_TYPES = "SELECT agent_instance_id, schema_name FROM run_span_type ORDER BY 1, 2"
POSITIONS = "SELECT count(DISTINCT position) FROM feed_consumer"
SPANS = "SELECT agent_instance_id, id FROM agent_span ORDER BY 1, 2"


def begin(url: str, name: str, *more: str) -> subprocess.Popen[str]:
    """Start a program that writes and follows."""
    child = subprocess.Popen(
        [sys.executable, str(PROGRAM), url, name, *more],
        env={"PYTHONPATH": str(SUPPORT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    return child


def indexed(url: str) -> list[tuple[str, ...]]:
    """The spans whose words are in the index."""
    if is_on_server(url):
        return rows(url, "SELECT agent_instance_id, span_id FROM search_document ORDER BY 1, 2")
    blocks = rows(f"{url}.search", "SELECT agent_instance_id, span_ids FROM block")
    return sorted((run_id, one) for run_id, ids in blocks for one in ids.split("\n") if one)


async def prepare(url: str) -> None:
    """An account to write to."""
    storage = await open_storage(url)
    await create_account(storage)
    await storage.close()


async def catch_up_alone(url: str) -> None:
    """Derive what is left, without any other process."""
    storage = await open_storage(url)
    await catch_up(counting(storage, "last"))
    await storage.close()


def test_killed_at_any_moment(database_url: str) -> None:
    """One server, or one of two on a database that they share, is killed again and again."""
    chance = random.Random(11)
    asyncio.run(prepare(database_url))
    other = begin(database_url, "other") if is_on_server(database_url) else None
    for number in range(ROUNDS):
        # The second one derives everything again, and is killed in between.
        child = begin(database_url, f"round-{number}", *["again"] * number)
        time.sleep(0.2 + chance.random() / 2)
        child.kill()
        child.communicate()
        if number == 0 and other is None:
            # A slice is written for all consumers of the database, or for none.
            assert rows(database_url, POSITIONS) == [(1,)]
    if other is not None:
        other.kill()
        other.communicate()
    # Do not wait for the last one's lease to expire.
    rows(database_url, "DELETE FROM lease")
    asyncio.run(catch_up_alone(database_url))

    ((finished,),) = rows(database_url, FINISHED)
    assert finished > 0
    assert rows(database_url, WRONG) == []
    assert rows(database_url, WRONG_ALERTS) == []
    assert rows(database_url, DERIVED_TYPES) == rows(database_url, TYPES)
    assert indexed(database_url) == rows(database_url, SPANS)
