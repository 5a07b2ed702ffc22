"""The commands that look after a database, on a server's database."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import upkeep
from postgres_database import PostgresDatabase

from live_server import PROGRAM
from postgres_server import PostgresServer

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(server: PostgresServer, database: PostgresDatabase, tmp_path: Path) -> Run:
    """Run a command on a database with two runs that ended long ago, to its end."""

    async def fill() -> None:
        storage = await database.open()
        await upkeep.run_with_spans(storage, "one")
        await upkeep.run_with_spans(storage, "two")
        await storage.close()

    asyncio.run(fill())

    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFACTOR_")}
        path = os.pathsep.join([str(server.binaries), os.environ["PATH"]])
        return subprocess.run(
            [PROGRAM, *arguments],
            cwd=tmp_path,
            env={**kept, "COLUMNS": "200", "PATH": path, "PREFACTOR_DATABASE": database.url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command


async def _left(database: PostgresDatabase) -> list[str]:
    return [row[0] for row in await database.rows("SELECT id FROM agent_instance ORDER BY id")]


def test_runs_are_verified_held_and_pruned(run: Run, database: PostgresDatabase) -> None:
    """What is old goes and what is held stays, as on a file, and the database is sound."""
    assert run("hold", "add", "one", "--reason", "a lawsuit").returncode == 0
    assert "a lawsuit" in run("hold", "list").stdout
    assert run("prune", "--days", "1", "--dry-run").stdout.startswith(
        "would delete 1 runs, 3 spans"
    )
    pruned = run("prune", "--days", "1")

    assert pruned.stdout.startswith("deleted 1 runs, 3 spans"), pruned.stderr
    assert asyncio.run(_left(database)) == ["one"]
    assert run("verify").stdout == "nothing differs\n"
    assert run("hold", "remove", "one").returncode == 0


def test_what_differs_ends_with_one(run: Run, database: PostgresDatabase) -> None:
    """A count that was changed behind the servers' backs is named, and the status is 1."""
    asyncio.run(database.rows("UPDATE agent_instance SET failed_spans = 2 WHERE id = 'two'"))
    broken = run("verify")

    assert broken.returncode == 1
    assert broken.stdout.endswith(
        "run two: keeps 2 failed spans and has 0\n1 found\n",
    )


def test_a_backup_is_an_archive(run: Run, tmp_path: Path) -> None:
    """The command writes what pg_restore reads, and does not overwrite it."""
    made = run("backup", "copy.dump")

    assert made.returncode == 0, made.stderr
    assert (tmp_path / "copy.dump").read_bytes().startswith(b"PGDMP")
    again = run("backup", "copy.dump")
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
