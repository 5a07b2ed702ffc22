"""The command that copies a database on a server, which runs pg_dump."""

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
    """Run a command on a database with two runs that ended long ago."""

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


def test_a_backup_is_an_archive(run: Run, tmp_path: Path) -> None:
    """The command writes what pg_restore reads, and does not overwrite it."""
    made = run("backup", "copy.dump")

    assert made.returncode == 0, made.stderr
    assert (tmp_path / "copy.dump").read_bytes().startswith(b"PGDMP")
    again = run("backup", "copy.dump")
    assert (again.returncode, "already exists" in again.stderr) == (1, True)
