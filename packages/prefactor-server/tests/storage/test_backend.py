"""Transactions on a real file: atomic, even on a full disk, and keys expire."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from database import Database, make_database
from rows import ACCOUNT, NOW, OTHER_ACCOUNT, create_agent, create_span, payload, register, request

from prefactor_server.commands.writer import Writer
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import new_token
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.listing import Listing
from prefactor_server.domain.runs.agent_span import PARAMS
from prefactor_server.storage.base import Changes, Needs, Snapshot
from prefactor_server.storage.sqlite.backend import SqliteStorage

BIG = b'"' + bytes(range(35, 91)) * 2000 + b'"'


async def test_a_decision_that_raises_changes_nothing(database: Database) -> None:
    """Whatever a decision did before it raised is not stored, and the next transaction works."""

    def decide(snapshots: Mapping[str, Snapshot]) -> None:
        for snapshot in snapshots.values():
            snapshot.apply(Changes(closed_runs=(("r", 1),)))
        raise KeyError

    before = database.everything()
    with pytest.raises(KeyError):
        await database.storage.transact({ACCOUNT: Needs(), OTHER_ACCOUNT: Needs()}, decide)

    assert database.everything() == before
    await database.do(register("r"))


async def test_a_write_that_fails_changes_nothing(database: Database) -> None:
    """If one account's rows cannot be written, no row of the batch is."""

    def decide(snapshots: Mapping[str, Snapshot]) -> None:
        for account_id, snapshot in snapshots.items():
            row = Environment("new", account_id, "N", False, 1, 1)
            snapshot.apply(Changes(inserted=(row,)))

    before = database.everything()
    with pytest.raises(Exception, match="FOREIGN KEY"):
        await database.storage.transact({ACCOUNT: Needs(), "nobody": Needs()}, decide)

    assert database.everything() == before


async def test_the_first_account_is_made_once(tmp_path: Path) -> None:
    """If several processes fill a new database at once, one succeeds."""
    path = tmp_path / "prefactor.db"
    first = await make_database(path, exclusive=False)
    before = first.everything()

    made = await first.storage.create_account(
        Account("late", "L", 3, NOW, NOW),
        Environment("late", "late", "Default", True, NOW, NOW),
        new_token("another-secret-of-theirs", "late", "late", NOW),
        AuditEntry("late", NOW, "cli", "accounts.create", "late", None),
    )

    assert not made
    assert first.everything() == before
    assert [one.id for one in await first.storage.accounts()] == [OTHER_ACCOUNT, ACCOUNT]
    await first.storage.close()


async def test_a_full_database_refuses_and_recovers(database: Database) -> None:
    """A write without space is refused whole, reads continue, and writes resume with space."""
    await database.do(register("run"))
    run = await database.run("run")
    (pages,) = database.storage._writer.execute("PRAGMA page_count").fetchone()
    database.storage._writer.execute(f"PRAGMA max_page_count = {pages}")
    before = database.everything()
    big = [
        create_span(f"s{number}", run, payloads=(payload(f"s{number}", PARAMS, BIG),))
        for number in range(50)
    ]
    # Store the text uncompressed, so that it takes space.
    for number, span in enumerate(big):
        stored = span.payloads[0]._replace(body=BIG)
        big[number] = msgspec.structs.replace(span, payloads=(stored,))

    for _ in range(2):
        with pytest.raises(Unavailable, match="disk is full: nothing was stored"):
            await database.submit(*big)
        assert database.everything() == before
        assert await database.run("run") == run
        assert (await database.storage.spans(ACCOUNT, Listing())).total == 0

    database.storage._writer.execute("PRAGMA max_page_count = 1000000")
    assert len(await database.submit(*big)) == 50
    assert (await database.run("run")).active_spans == 50


# Writes to a file that may not grow beyond a size, then beyond another.
BOUNDED = """
import asyncio, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from database import make_database
from prefactor_server.domain.errors import Unavailable
from rows import register

async def main():
    database = await make_database(Path(sys.argv[1]))
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    written = 0
    try:
        for number in range(1000):
            await database.do(register(f"r{number}"))
            written += 1
    except Unavailable as error:
        print(error)
    assert 0 < written < 1000, written
    assert len(database.rows("SELECT id FROM agent_instance")) == written
    assert (await database.run("r0")).id == "r0"
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await database.do(register("after"))
    assert len(database.rows("SELECT id FROM agent_instance")) == written + 1
    await database.storage.close()
    assert database.rows("PRAGMA integrity_check") == [("ok",)]

asyncio.run(main())
"""


async def test_a_disk_that_rejects_writes(tmp_path: Path) -> None:
    """A write that the disk rejects is refused whole; later writes work, and nothing is torn."""
    support = Path(__file__).parents[1] / "support"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", BOUNDED, str(tmp_path / "prefactor.db"), str(support)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.stderr, done.returncode) == ("", 0)
    assert "nothing was stored" in done.stdout


async def test_little_free_space_refuses_writes(tmp_path: Path) -> None:
    """Below the minimum of free space every write is refused, and the error names the setting."""
    path = tmp_path / "prefactor.db"
    await (await make_database(path)).storage.close()
    database = await opened(path, min_free_disk_bytes=1 << 60)

    with pytest.raises(Unavailable, match=r"less than min_free_disk_bytes \(1152921504606846976\)"):
        await database.submit(register("r"))
    with pytest.raises(Unavailable):
        await database.storage.forget_keys(NOW, 10)
    assert len(await database.storage.accounts()) == 2
    assert database.rows("SELECT count(*) FROM agent") == [(0,)]
    await database.storage.close()


async def opened(path: Path, min_free_disk_bytes: int) -> Database:
    """Open an existing database with a minimum of free space."""
    storage = SqliteStorage.open(path, min_free_disk_bytes=min_free_disk_bytes)
    return Database(path, storage, Writer(storage, max_queue_bytes=1000))


async def test_old_keys_are_deleted_in_slices(database: Database) -> None:
    """Keys used before a time are deleted, oldest first, a slice at a time."""
    await database.submit(
        *(
            create_agent(f"a{number}", request=request(now=NOW + number, key=f"k{number}"))
            for number in range(10)
        )
    )

    forgotten = [await database.storage.forget_keys(NOW + 7, 3) for _ in range(4)]

    assert forgotten == [3, 3, 1, 0]
    assert database.rows("SELECT key FROM idempotency_key") == [("k7",), ("k8",), ("k9",)]


async def test_keys_from_the_future_do_not_block_others(database: Database) -> None:
    """Keys that a wrong clock stamped far ahead stay, and later keys still expire."""
    ahead = NOW + 10**15
    for number, now in enumerate((ahead, ahead, ahead, NOW, NOW + 1)):
        made = create_agent(f"a{number}", request=request(now=now, key=f"k{number}"))
        await database.do(made)

    forgotten = [await database.storage.forget_keys(NOW + 7, 2) for _ in range(2)]

    assert forgotten == [2, 0]
    assert database.rows("SELECT key FROM idempotency_key") == [("k0",), ("k1",), ("k2",)]


async def test_a_deleted_key_can_be_used_again(database: Database) -> None:
    """Until a key is deleted it is a repeat; afterwards it belongs to the next request."""
    first = create_agent("a", request=request(key="k"))
    second = create_agent("b", request=request(key="k", now=NOW + 1))
    await database.do(first)
    (repeat,) = await database.submit(second)
    assert repeat.replayed  # type: ignore[union-attr]

    await database.storage.forget_keys(NOW + 1, 100)
    assert (await database.do(second)).id == "b"


async def test_closing_waits_for_the_current_write(tmp_path: Path) -> None:
    """Closing lets the current write end, and leaves one file without a log."""
    database = await make_database(tmp_path / "prefactor.db")
    writing = asyncio.create_task(database.submit(register("r")))
    reading = asyncio.create_task(database.storage.accounts())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await database.storage.close()

    assert len(await reading) == 2
    await writing
    assert len(database.rows("SELECT id FROM agent_instance")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "prefactor.db",
        "prefactor.db.lock",
    ]
