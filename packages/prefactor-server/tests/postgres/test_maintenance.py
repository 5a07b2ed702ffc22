"""Maintaining a database on a server: findings, deletions, and what is kept."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import upkeep
from postgres_database import PostgresDatabase
from rows import ACCOUNT, NOW

from patience import patience
from postgres_server import PostgresServer
from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.runs.retention import Deletion, Pruned, Retention
from prefactor_server.storage.backup import BackupError
from prefactor_server.storage.maintenance import prune_record
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.upkeep import prune
from prefactor_server.storage.postgres.upkeep.backup import back_up_server, without_password

ENTRIES = "SELECT action, resource_id, detail FROM audit_entry WHERE action NOT LIKE 'accounts.%'"


async def test_a_sound_database_has_no_findings(storage: PostgresStorage) -> None:
    """A database that servers wrote verifies, in more slices than one."""
    await upkeep.check_sound(storage)


@pytest.mark.parametrize(("damage", "found"), upkeep.DAMAGES)
async def test_inconsistencies_are_named(
    database: PostgresDatabase, storage: PostgresStorage, damage: str, found: list[str]
) -> None:
    """Rows that contradict each other are named with their run or span."""
    await upkeep.check_damage(storage, database.rows, damage, found)


async def test_lost_and_damaged_payloads_are_named(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A payload that is missing, unreadable or unreferenced is reported."""
    await upkeep.run_with_spans(storage, "run-1")
    await database.rows("DELETE FROM span_payload WHERE span_id = 'run-1-span-0' AND part = 0")
    damaged = "UPDATE span_payload SET body = '\\x00' WHERE span_id = 'run-1-span-1' AND part = 1"
    await database.rows(damaged)
    await database.rows("INSERT INTO span_payload VALUES ('nobody', 'nothing', 1, 0, '{}')")

    size = len(upkeep.LARGE)
    assert await upkeep.findings(storage) == [
        f"account {ACCOUNT}: span run-1-span-0: its payload of {size} bytes is missing",
        f"account {ACCOUNT}: span run-1-span-1: its result payload cannot be read",
        "account nobody: payload nothing/1: its span is missing",
    ]


async def test_old_runs_are_pruned(storage: PostgresStorage) -> None:
    """Pruning deletes the runs that the preview counted, and leaves a sound database."""
    await upkeep.check_pruned_by_age(storage)


async def test_an_agent_and_an_environment_have_their_own_retention(
    storage: PostgresStorage,
) -> None:
    """Pruning one agent or environment, or account, does not touch another."""
    await upkeep.check_pruned_by_agent_and_environment(storage)


async def test_a_held_run_is_not_pruned(storage: PostgresStorage) -> None:
    """A legal hold takes precedence over any retention."""
    await upkeep.check_held(storage)


async def test_pruning_goes_in_slices(storage: PostgresStorage, monkeypatch: Any) -> None:
    """No slice exceeds its limit, and the database is sound between slices."""
    monkeypatch.setattr(prune, "SPAN_SLICE", 10)
    await upkeep.check_slices(storage)


async def test_maintenance_is_in_the_audit_log(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Holds and deletions are logged in their own transaction."""

    async def entries() -> list[Any]:
        return await database.rows(f"{ENTRIES} ORDER BY action LIKE '%prune', action")

    await upkeep.check_audited(storage, entries)


async def test_a_pruned_run_leaves_no_row(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Every table that names runs or spans is empty when all runs are gone."""
    await upkeep.run_with_spans(storage, "run-1")
    await database.rows(
        "INSERT INTO agent_instance_quality (id, account_id, inserted_at, document, updated_at) "
        "VALUES ('run-1', $1, 1, '{}', 1)",
        ACCOUNT,
    )
    await database.rows(
        "INSERT INTO agent_instance_metadata (id, account_id, inserted_at, document, updated_at) "
        """VALUES ('run-1', $1, 1, '{"k":"v"}', 1)""",
        ACCOUNT,
    )
    before = await database.everything()
    await upkeep.prune_all(storage, Retention(ACCOUNT, NOW + 1))
    after = await database.everything()

    mentions = {table for table, rows in before.items() if "run-1" in repr(rows)}
    assert mentions >= {
        "agent_instance",
        "agent_instance_quality",
        "agent_instance_metadata",
        "agent_instance_metadata_entry",
        "agent_span",
        "span_payload",
    }
    # The change feed keeps the deletion for a day.
    assert [table for table, rows in after.items() if "run-1" in repr(rows)] == ["feed_change"]


async def test_two_prunes_at_once_delete_each_row_once(
    storage: PostgresStorage, other: PostgresStorage
) -> None:
    """Two prunes at once delete each row once, and neither waits forever."""
    for number in range(20):
        await upkeep.run_with_spans(storage, f"run-{number}", spans=2)
    retention = Retention(ACCOUNT, NOW + 1)

    slices = await asyncio.gather(
        upkeep.prune_all(storage, retention), upkeep.prune_all(other, retention)
    )
    slices.append(await upkeep.prune_all(storage, retention))

    total = Pruned()
    for one in [one for each in slices for one in each]:
        total = total.plus(one)
    assert (total.runs, total.spans) == (20, 40)
    assert await upkeep.findings(storage) == []


async def test_what_another_server_has_locked_is_skipped(
    database: PostgresDatabase, storage: PostgresStorage, monkeypatch: Any
) -> None:
    """A deletion does not wait for runs and marks that another server has locked: they stay."""
    monkeypatch.setattr(prune, "SPAN_SLICE", 2)
    for run_id in ("written", "old"):
        await upkeep.run_with_spans(storage, run_id)
    record = prune_record(Retention(ACCOUNT, NOW + 1), NOW, "cli")
    deletion = Deletion(ACCOUNT, ["old", "written"], NOW + 1, NOW, record)
    other = await asyncpg.connect(database.url)
    try:
        async with asyncio.timeout(patience(10)):
            async with other.transaction():
                await other.execute("SELECT FROM agent_instance WHERE id = 'written' FOR UPDATE")
                pruned = await storage.maintenance.delete_runs(deletion)
            async with other.transaction():
                await other.execute("SELECT FROM deleted_run FOR UPDATE")
                skipped = await storage.maintenance.delete_remaining_spans()
    finally:
        await other.close()

    assert (pruned.runs, pruned.spans, skipped) == (1, 3, 0)
    assert await storage.maintenance.delete_remaining_spans() == 2
    assert await upkeep.runs(storage, "old", "written") == {"written"}


async def test_a_hold_committed_in_between_applies(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A run whose hold was committed while its slice was being chosen is not deleted."""
    await upkeep.run_with_spans(storage, "run-1")

    async with storage._writing.connection() as connection:
        holding = connection.transaction()
        await holding.__aenter__()
        await connection.fetch("SELECT id FROM agent_instance FOR UPDATE")
        # A locked run is skipped, because its transaction may still keep it.
        assert await storage.maintenance.prune(Retention(ACCOUNT, NOW + 1), NOW, "cli") == Pruned()
        await connection.execute("INSERT INTO legal_hold VALUES ($1, 'run-1', 'why', 1)", ACCOUNT)
        await holding.__aexit__(None, None, None)

    assert await upkeep.prune_all(storage, Retention(ACCOUNT, NOW + 1)) == []
    assert await upkeep.runs(storage, "run-1") == {"run-1"}


async def test_a_run_that_is_being_deleted_cannot_be_held(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A hold waits for the end of a deletion that has begun, and then finds no run."""
    await upkeep.run_with_spans(storage, "run-1")
    other = await asyncpg.connect(database.url)
    try:
        async with other.transaction():
            await other.execute("DELETE FROM agent_instance WHERE id = 'run-1'")
            holding = asyncio.create_task(storage.maintenance.add_hold(*upkeep.hold("run-1")))
            await database.until_blocked(holding)
    finally:
        await other.close()

    assert not await holding
    assert await storage.maintenance.holds(ACCOUNT) == []


async def test_a_read_only_database_is_not_ready(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A server on a standby database is not ready."""
    await storage.maintenance.check_writable()
    async with storage._writing.connection() as connection:
        await connection.execute("SET default_transaction_read_only = on")

    with pytest.raises(Unavailable, match="primary"):
        await storage.maintenance.check_writable()


async def test_maintenance_finds_rows_by_index(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A maintenance statement scans no table but the one that it reads in slices."""
    await upkeep.run_with_spans(storage, "run-1")
    async with storage._writing.connection() as connection:
        for name, values in (
            ("prune.lock", (ACCOUNT, NOW, None, None, 100)),
            ("prune.held", (ACCOUNT, NOW, None, None)),
            ("prune.preview", (ACCOUNT, NOW, None, None, 0, "", 100)),
            ("prune.lock_runs", (ACCOUNT, ["x"], NOW)),
            ("prune.count_spans", (ACCOUNT, ["run-1"])),
            ("prune.delete_spans", (ACCOUNT, ["x"])),
            ("prune.delete_payloads", (ACCOUNT, ["x"])),
            ("prune.delete_runs", (ACCOUNT, ["x"])),
            ("retention.ended", (ACCOUNT, NOW, 0, "", 100)),
            ("retention.unended", (ACCOUNT, NOW, "", 100)),
            ("audit.extend", (ACCOUNT, NOW, "a", "b", "c", "d", "e")),
            ("audit.forget", (ACCOUNT, NOW, 100)),
            ("verify.runs", ("", "", 10)),
            ("verify.spans", ("", "", 10)),
            ("verify.payloads", ("", "", -1, 10)),
        ):
            explain = f"EXPLAIN (FORMAT JSON) {prune._SQL[name]}"
            plan = json.dumps(json.loads(await connection.fetchval(explain, *values)))
            assert "Seq Scan" not in plan, name


def test_a_backup_restores(
    server: PostgresServer, database: PostgresDatabase, tmp_path: Path
) -> None:
    """pg_restore puts what pg_dump wrote into an empty database, row for row."""

    async def filled() -> dict[str, list[Any]]:
        storage = await database.open()
        await upkeep.run_with_spans(storage, "run-1")
        await storage.maintenance.add_hold(*upkeep.hold("run-1"))
        await storage.close()
        return await database.everything()

    before = asyncio.run(filled())
    archive = tmp_path / "copy.dump"
    environ = {**os.environ, "PATH": str(server.binaries)}
    back_up_server(database.url, archive, environ)
    restored = PostgresDatabase(server.create_database("restored"))
    server.run("pg_restore", "--no-owner", "--dbname", "restored", str(archive))

    async def read() -> tuple[dict[str, list[Any]], list[str]]:
        storage = await restored.open()
        found = await upkeep.findings(storage)
        await storage.close()
        return await restored.everything(), found

    assert asyncio.run(read()) == (before, [])
    assert archive.stat().st_mode & 0o777 == 0o600


def test_a_missing_pg_dump_is_named(database: PostgresDatabase, tmp_path: Path) -> None:
    """Without pg_dump, the error names the missing program, and no file is left."""
    with pytest.raises(BackupError, match=r"pg_dump was not found\. Install"):
        back_up_server(database.url, tmp_path / "copy.dump", {"PATH": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_dump_leaves_no_file(server: PostgresServer, tmp_path: Path) -> None:
    """A failed pg_dump passes its error on and leaves no partial copy."""
    environ = {**os.environ, "PATH": str(server.binaries)}
    with pytest.raises(BackupError, match=r"pg_dump failed: .*nowhere"):
        back_up_server(server.url("nowhere"), tmp_path / "copy.dump", environ)
    empty = server.create_database("none_of_ours")
    with pytest.raises(BackupError, match="was not created by prefactor-server"):
        back_up_server(empty, tmp_path / "copy.dump", environ)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "address", "password"),
    [
        ("postgresql://u:s%40cret@h:5432/d", "postgresql://u@h:5432/d", "s@cret"),
        ("postgresql://u@h/d", "postgresql://u@h/d", ""),
        ("postgresql:///d?host=/tmp", "postgresql:///d?host=%2Ftmp", ""),
        ("postgresql://h/d?user=u&password=p", "postgresql://h/d?user=u", "p"),
    ],
)
def test_a_password_is_not_in_the_process_list(url: str, address: str, password: str) -> None:
    """A program is given the address without the password, which is passed separately."""
    assert without_password(url) == (address, password)
