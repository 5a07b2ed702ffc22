"""Kill -9 while a follower works: nothing is derived twice, and nothing is left out."""

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


def begin(url: str, name: str) -> subprocess.Popen[str]:
    """A program that writes and follows."""
    child = subprocess.Popen(
        [sys.executable, str(PROGRAM), url, name],
        env={"PYTHONPATH": str(SUPPORT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    return child


async def prepare(url: str) -> None:
    """An account to write to."""
    storage = await open_storage(url)
    await create_account(storage)
    await storage.close()


async def catch_up_alone(url: str) -> None:
    """Derive what is left, with nobody else there."""
    storage = await open_storage(url)
    await catch_up(counting(storage, "last"))
    await storage.close()


def test_killed_at_any_moment(database_url: str) -> None:
    """One server, or one of two on a database that they share, is killed again and again."""
    chance = random.Random(11)
    asyncio.run(prepare(database_url))
    other = begin(database_url, "other") if is_on_server(database_url) else None
    for number in range(ROUNDS):
        child = begin(database_url, f"round-{number}")
        time.sleep(0.2 + chance.random() / 2)
        child.kill()
        child.communicate()
    if other is not None:
        other.kill()
        other.communicate()
    # The last one's lease would end by itself, in a while.
    rows(database_url, "DELETE FROM lease")
    asyncio.run(catch_up_alone(database_url))

    ((finished,),) = rows(database_url, FINISHED)
    assert finished > 0
    assert rows(database_url, WRONG) == []
