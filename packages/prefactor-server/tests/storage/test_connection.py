"""The database file: how it is opened and locked, and what its errors mean."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from database import Database, make_database
from rows import register

from prefactor_server.commands.writer import Writer
from prefactor_server.domain.errors import DatabaseDamaged, Unavailable
from prefactor_server.storage.sqlite.backend import SqliteStorage
from prefactor_server.storage.sqlite.connection import (
    DatabaseFileError,
    FileLock,
    open_reader,
    open_writer,
    translated_errors,
)

HOLD = """
import sys
from pathlib import Path
from prefactor_server.storage.sqlite.backend import SqliteStorage
storage = SqliteStorage.open(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""
# Opens a database as an unprivileged user, because these tests may run as root.
OPEN_AS_NOBODY = """
import os, sys
from pathlib import Path
from prefactor_server.storage.sqlite.backend import SqliteStorage
from prefactor_server.storage.sqlite.connection import DatabaseFileError
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    SqliteStorage.open(Path(sys.argv[1]))
except DatabaseFileError as error:
    print(error)
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts a process that serves a file until it is killed."""
    started = list[subprocess.Popen[str]]()

    def start(path: Path) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def test_a_second_server_is_refused(
    tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]]
) -> None:
    """A second server gets an error with the first one's pid, by every path to the file."""
    path = tmp_path / "prefactor.db"
    link = tmp_path / "link.db"
    link.symlink_to(path)
    first = hold(path)

    for name in (path, link, tmp_path / "." / ".." / tmp_path.name / "prefactor.db"):
        with pytest.raises(DatabaseFileError, match=rf"\(pid {first.pid}\) is using this database"):
            SqliteStorage.open(name)


async def test_the_lock_ends_with_its_holder(
    tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]]
) -> None:
    """After a kill -9 the file can be served again, and the refusal names the new server."""
    path = tmp_path / "prefactor.db"
    first = hold(path)
    first.send_signal(signal.SIGKILL)
    first.wait()

    storage = SqliteStorage.open(path)
    with pytest.raises(DatabaseFileError, match=rf"\(pid {os.getpid()}\)"):
        SqliteStorage.open(path)
    await storage.close()
    await SqliteStorage.open(path).close()


async def test_a_tool_works_during_a_servers_writes(database: Database) -> None:
    """Opened without the lock, the file is read and written between the server's own writes."""
    storage = SqliteStorage.open(database.path, exclusive=False)
    tool = Database(database.path, storage, Writer(storage, max_queue_bytes=1))
    await database.do(register("of-the-server"))
    await tool.do(register("of-the-tool"))
    await database.do(register("again"))

    assert await database.run("of-the-tool") == await tool.run("of-the-tool")
    assert len(tool.rows("SELECT id FROM agent_instance")) == 3
    await tool.storage.close()


def test_a_lock_can_be_released_twice(tmp_path: Path) -> None:
    """Releasing a lock again does nothing, and closes no other file."""
    lock = FileLock(tmp_path / "x.db").acquire()
    lock.release()
    lock.release()

    FileLock(tmp_path / "x.db").acquire().release()


def test_a_lock_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A disk that takes no more ends the start with a message that names the file of the lock."""
    program = Path(sys.executable).parent / "prefactor-server"
    database = f"sqlite:///{tmp_path}/x.db"
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", program, "migrate", "--database", database],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr == (
        f"prefactor-server: Cannot write {tmp_path}/x.db.lock: File too large.\n"
    )


async def test_the_writer_waits_for_the_disk(database: Database) -> None:
    """The writing connection has a write-ahead log, syncs every commit and checks references."""
    writer = database.storage._writer
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")

    assert [writer.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == [
        "wal",
        2,
        1,
        5000,
    ]


async def test_a_reader_cannot_write(database: Database) -> None:
    """A reading connection refuses every change."""
    reader = open_reader(database.path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM account")
    reader.close()


@pytest.mark.parametrize("name", ["a b.db", "50%.db", "what?.db", "no#.db", "ü.db", "'q\".db"])
async def test_any_file_name_works(tmp_path: Path, name: str) -> None:
    """With any file name, writer and readers open the same file."""
    database = await make_database(tmp_path / name)
    await database.do(register("r"))

    assert (await database.run("r")).id == "r"
    assert {path.name for path in tmp_path.iterdir()} == {
        name,
        f"{name}-wal",
        f"{name}-shm",
        f"{name}.lock",
    }
    await database.storage.close()


async def test_a_relative_path_stays_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose process goes to another folder keeps its database."""
    monkeypatch.chdir(tmp_path)
    storage = SqliteStorage.open(Path("prefactor.db"))
    monkeypatch.chdir("/")

    assert await storage.accounts() == []
    await storage.close()


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    """A file that is not a database is refused by name, unchanged and unlocked."""
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, " * 100)

    for _ in range(2):
        with pytest.raises(DatabaseFileError, match=r"Cannot use .*notes\.txt as a database"):
            SqliteStorage.open(path)
    assert path.read_text() == "Dear diary, " * 100


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_missing_folder(tmp_path: Path, exclusive: bool) -> None:
    """A path into a missing folder is refused with advice."""
    with pytest.raises(DatabaseFileError, match="nowhere does not exist: create it first"):
        SqliteStorage.open(tmp_path / "nowhere" / "prefactor.db", exclusive=exclusive)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """The path of a folder is refused as a database."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(DatabaseFileError, match="folder is a folder: add the name of a file"):
        SqliteStorage.open(tmp_path / "folder")


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that other users can reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def opened_as_nobody(path: Path) -> str:
    """Return the error of opening a file as a user with few rights."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN_AS_NOBODY, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


async def test_a_folder_that_cannot_be_written(outside: Path) -> None:
    """A server that cannot write the folder does not start, and names the folder."""
    outside.chmod(0o555)

    assert "prefactor.db.lock: Permission denied" in opened_as_nobody(outside / "prefactor.db")


async def test_a_file_that_cannot_be_written(outside: Path) -> None:
    """A server that can write the folder but not the file does not start, and says why."""
    path = outside / "prefactor.db"
    await (await make_database(path)).storage.close()
    for file in outside.iterdir():
        file.chmod(0o444 if file == path else 0o666)
    outside.chmod(0o777)

    said = opened_as_nobody(path)
    assert said.startswith(f"Cannot use {path} as a database: ")
    assert "readonly" in said


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (sqlite3.SQLITE_FULL, "disk is full"),
        (sqlite3.SQLITE_BUSY, "locked by another program"),
        (sqlite3.SQLITE_LOCKED, "locked by another program"),
        (sqlite3.SQLITE_READONLY, "Make the file and its folder writable"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "Make the file and its folder writable"),
        (sqlite3.SQLITE_IOERR_SHORT_READ, "is damaged"),
        (sqlite3.SQLITE_CANTOPEN, "may not write its database"),
        (sqlite3.SQLITE_IOERR | 3 << 8, "disk reports an error"),
    ],
)
def test_errors_of_the_file_are_explained(code: int, message: str) -> None:
    """SQLite's disk errors become refusals that an operator can act on."""
    error = sqlite3.OperationalError("raw")
    error.sqlite_errorcode = code

    with pytest.raises(Unavailable, match=message), translated_errors():
        raise error


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CORRUPT_INDEX, sqlite3.SQLITE_NOTADB]
)
def test_damage_is_recognised(code: int) -> None:
    """A damaged file is refused with a remedy."""
    error = sqlite3.DatabaseError("raw")
    error.sqlite_errorcode = code

    with pytest.raises(DatabaseDamaged, match="restore a backup"), translated_errors():
        raise error


@pytest.mark.parametrize("code", [None, sqlite3.SQLITE_ERROR])
def test_programming_errors_are_not_disk_errors(code: int | None) -> None:
    """A faulty statement is not reported as a disk error."""
    error = sqlite3.OperationalError("no such table: x")
    if code is not None:
        error.sqlite_errorcode = code

    with pytest.raises(sqlite3.OperationalError) as raised, translated_errors():
        raise error
    assert raised.value is error


def test_a_writer_takes_no_lock(tmp_path: Path) -> None:
    """Opening only the writing connection leaves no lock behind."""
    open_writer(tmp_path / "x.db").close()

    assert not (tmp_path / "x.db.lock").exists()
