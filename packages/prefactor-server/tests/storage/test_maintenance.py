"""Maintaining a database file: findings, deletions, and what is kept."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import upkeep
from database import TABLES, Database
from rows import ACCOUNT, NOW

from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.runs.retention import Retention
from prefactor_server.storage.backup import BackupError
from prefactor_server.storage.sqlite.upkeep import prune
from prefactor_server.storage.sqlite.upkeep.backup import back_up_file
from prefactor_server.storage.sqlite.upkeep.maintenance import _SQL

ENTRIES = "SELECT action, resource_id, detail FROM audit_entry WHERE action NOT LIKE 'accounts.%'"


async def test_a_sound_database_has_no_findings(database: Database) -> None:
    """A database that servers wrote verifies, in more slices than one."""
    await upkeep.check_sound(database.storage)


@pytest.mark.parametrize(("damage", "found"), upkeep.DAMAGES)
async def test_inconsistencies_are_named(database: Database, damage: str, found: list[str]) -> None:
    """Rows that contradict each other are named with their run or span."""

    async def execute(sql: str) -> None:
        database.execute(sql)

    await upkeep.check_damage(database.storage, execute, damage, found)


async def test_lost_and_damaged_payloads_are_named(database: Database) -> None:
    """A payload that is missing, unreadable or unreferenced is reported."""
    await upkeep.run_with_spans(database.storage, "run-1")
    database.execute("DELETE FROM span_payload WHERE id = (SELECT min(id) FROM span_payload)")
    database.execute("UPDATE span_payload SET body = x'00' WHERE id % 2 = 1 AND id < 5")
    database.execute("INSERT INTO span_payload VALUES (9000, 0, x'7b7d')")

    gone, damaged, orphan = sorted(await upkeep.findings(database.storage), key=len, reverse=True)
    assert gone.endswith(f"its payload of {len(upkeep.LARGE)} bytes is missing")
    assert damaged.endswith("its result payload cannot be read")
    assert orphan == "account -: payload 9000: its span is missing"


async def test_a_damaged_file_is_named_first(database: Database) -> None:
    """If an index lost rows, only the damage of the file is reported."""
    await upkeep.run_with_spans(database.storage, "run-1")
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
            "WHERE name = 'agent_span_of_agent') WHERE name = 'agent_instance_of_agent'"
        )
        connection.execute("PRAGMA schema_version = 1000")

    found = await upkeep.findings(database.storage)
    assert found != []
    assert all(line.startswith("account -: file -: ") for line in found)


async def test_a_broken_reference_is_named(database: Database) -> None:
    """A broken foreign key is reported."""
    database.execute("INSERT INTO environment VALUES ('e', 'no-account', 'E', 0, 1, 1)")

    (found,) = await upkeep.findings(database.storage)
    assert "a row of environment refers to a row of account that is missing" in found


async def test_old_runs_are_pruned(database: Database) -> None:
    """Pruning deletes the runs that the preview counted, and leaves a sound database."""
    await upkeep.check_pruned_by_age(database.storage)


async def test_an_agent_and_an_environment_have_their_own_retention(database: Database) -> None:
    """Pruning one agent or environment, or account, does not touch another."""
    await upkeep.check_pruned_by_agent_and_environment(database.storage)


async def test_a_held_run_is_not_pruned(database: Database) -> None:
    """A legal hold takes precedence over any retention."""
    await upkeep.check_held(database.storage)


async def test_pruning_goes_in_slices(database: Database, monkeypatch: Any) -> None:
    """No slice exceeds its limit, and the database is sound between slices."""
    monkeypatch.setattr(prune, "SPAN_SLICE", 10)
    await upkeep.check_slices(database.storage)


async def test_a_preview_goes_in_slices(database: Database, monkeypatch: Any) -> None:
    """A preview of more runs than one slice counts each run once, with its bytes."""
    for number in range(5):
        await upkeep.run_with_spans(database.storage, f"run-{number}", spans=1)
    at_once = await database.storage.maintenance.preview(Retention(ACCOUNT, NOW + 1))
    monkeypatch.setattr(prune, "RUN_SLICE", 2)

    preview = await database.storage.maintenance.preview(Retention(ACCOUNT, NOW + 1))
    assert (preview.runs, preview.spans) == (5, 5)
    assert preview.payload_bytes == at_once.payload_bytes > 0


async def test_maintenance_is_in_the_audit_log(database: Database) -> None:
    """Holds and deletions are logged in their own transaction."""

    async def entries() -> list[Any]:
        return database.rows(f"{ENTRIES} ORDER BY action LIKE '%prune', rowid")

    await upkeep.check_audited(database.storage, entries)


async def test_a_pruned_run_leaves_no_row(database: Database) -> None:
    """Every table that names runs or spans is empty when all runs are gone."""
    await upkeep.run_with_spans(database.storage, "run-1")
    database.execute(
        "INSERT INTO agent_instance_quality VALUES ('run-1', ?, 1, x'7b7d', 1)", ACCOUNT
    )
    database.execute(
        """INSERT INTO agent_instance_metadata VALUES ('run-1', ?, 1, '{"k":"v"}', 1)""", ACCOUNT
    )
    before = database.everything()
    await upkeep.prune_all(database.storage, Retention(ACCOUNT, NOW + 1))
    after = database.everything()

    mentions = {table for table in TABLES if "run-1" in repr(before[table])}
    assert mentions >= {
        "agent_instance",
        "agent_instance_quality",
        "agent_instance_metadata",
        "agent_instance_metadata_entry",
        "agent_span",
    }
    # The change feed keeps the deletion for a day.
    assert [table for table in TABLES if "run-1" in repr(after[table])] == ["feed_change"]
    assert after["span_payload"] == []


async def test_a_read_only_database_is_not_ready(database: Database) -> None:
    """The readiness check does what a write does, and changes nothing."""
    before = database.rows("PRAGMA user_version")
    await database.storage.maintenance.check_writable()
    assert database.rows("PRAGMA user_version") == before

    database.storage._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(Unavailable):
        await database.storage.maintenance.check_writable()


async def test_a_large_database_is_ready(database: Database) -> None:
    """The readiness check reads both ends of every table, and never a whole one."""
    writer = database.storage._writer
    writer.execute("CREATE TABLE filler (bytes BLOB)")
    writer.execute("INSERT INTO filler VALUES (zeroblob(5000000))")
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    assert pages > 1000

    await database.storage.maintenance.check_writable()


async def test_a_copy_of_a_database_in_use_is_whole(database: Database, tmp_path: Path) -> None:
    """A copy has everything committed until then, verifies, and is readable by its owner only."""
    await upkeep.run_with_spans(database.storage, "run-1")
    copy = tmp_path / "copy.db"
    back_up_file(database.path, copy)
    await upkeep.run_with_spans(database.storage, "run-2")

    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT id FROM agent_instance").fetchall() == [("run-1",)]
        assert connection.execute("SELECT count(*) FROM span_payload").fetchone() == (6,)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]


async def test_a_failed_copy_leaves_no_file(database: Database, tmp_path: Path) -> None:
    """An existing target, a missing folder and an invalid source leave no copy."""
    there = tmp_path / "there.db"
    there.write_text("precious")
    notes = tmp_path / "notes.txt"
    notes.write_text("no database " * 100)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE mine (x)")

    for source, target, says in (
        (database.path, there, "already exists"),
        (database.path, tmp_path / "nowhere" / "copy.db", "Cannot write"),
        (notes, tmp_path / "copy.db", "Cannot copy"),
        (tmp_path / "other.db", tmp_path / "copy.db", "was not created by prefactor-server"),
    ):
        with pytest.raises(BackupError, match=says):
            back_up_file(source, target)

    assert there.read_text() == "precious"
    assert list(tmp_path.glob("*.part")) + list(tmp_path.glob("copy*")) == []


NAMED = {
    **Retention(ACCOUNT, NOW)._asdict(),
    "finished_at": 0,
    "id": "run-1",
    "runs": '["run-1"]',
    "spans": '["span-1"]',
    "seqs": "[1]",
    "seq": 0,
    "slice": 10,
    "now": 0,
    "before": 0,
    "at": 0,
    "actor": "cli",
    "action": "a",
    "resource_id": "b",
    "detail": "c",
    "previous": "d",
    "idle_since": 0,
    "link_before": 0,
}


@pytest.mark.parametrize("name", [name for name in _SQL if name not in ("hold.add", "audit.add")])
def test_maintenance_finds_rows_by_index(database: Database, name: str) -> None:
    """A maintenance statement scans no table but the one that it reads in slices."""
    values = {**NAMED, "runs": 10} if name == "prune.runs" else NAMED
    with closing(sqlite3.connect(database.path)) as connection:
        steps = [step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {_SQL[name]}", values)]

    assert steps
    # Lists that are parameters, and slices of a table that are read by key.
    harmless = r"SCAN \w+ VIRTUAL TABLE" + (r"|SCAN (run|span|payload)\Z" * ("verify" in name))
    harmless += r"|SCAN (abandoned|pending)\Z" * (name == "retention.unended")
    # Few runs wait for the deletion of their spans.
    harmless += r"|SCAN (gone|deleted_run)\Z" * name.startswith("deleted.")
    scans = [step for step in steps if step.startswith("SCAN")]
    assert [step for step in scans if not re.match(harmless, step)] == []
