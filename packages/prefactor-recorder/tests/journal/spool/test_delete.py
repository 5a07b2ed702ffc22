"""`prefactor-spool rm --all` while processes start in the directories that it deletes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prefactor_recorder.cli.main import main
from prefactor_recorder.journal.spool import SpoolJournal, process_files
from prefactor_recorder.journal.spool.process_lock import lock_new_process

Open = Callable[..., SpoolJournal]
Make = Callable[..., bytes]
Shown = Callable[[], list[tuple[str | None, str | None, int]]]


@pytest.fixture
def emptied(open_journal: Open, record: Make, spool: Path) -> Path:
    """An account's directory with only its identity left."""
    journal = open_journal()
    journal.append(record(1))
    journal.learn_account("acc-1")
    journal.ack(journal.read(1000))
    journal.close()
    (identity,) = (path for path in spool.rglob("*") if path.is_file())
    return identity.parent


@pytest.fixture
def shown(spool: Path, capsys: pytest.CaptureFixture[str]) -> Shown:
    """Lists each directory's API and account, and how many processes have files there."""

    def shown() -> list[tuple[str | None, str | None, int]]:
        capsys.readouterr()
        assert main(["list", "--json", "--spool-dir", str(spool)]) == 0
        accounts = json.loads(capsys.readouterr().out)["accounts"]
        return [(each["api_url"], each["account_id"], len(each["processes"])) for each in accounts]

    return shown


def remove_all(spool: Path) -> int:
    """Delete everything below the spool's root that no process uses."""
    return main(["rm", "--all", "--yes", "--spool-dir", str(spool)])


def test_an_empty_directory_is_deleted(emptied: Path, spool: Path) -> None:
    """A directory that contains only its identity is deleted."""
    assert (remove_all(spool), list(spool.iterdir())) == (0, [])


@pytest.mark.parametrize("has_checked", [False, True])
def test_a_process_that_starts_meanwhile_keeps_the_identity(
    *,
    has_checked: bool,
    emptied: Path,
    spool: Path,
    open_journal: Open,
    record: Make,
    shown: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether or not the process found the identity, it is complete when the command ends."""
    rmdir = Path.rmdir

    def start_first(path: Path) -> None:
        if has_checked:
            lock_new_process(emptied).release()
        else:
            assert open_journal().append(record(2))
        rmdir(path)

    monkeypatch.setattr(Path, "rmdir", start_first)
    assert remove_all(spool) == 0
    monkeypatch.undo()

    assert shown() == [("https://api.example", "acc-1", 1)]
    assert [path.name for path in emptied.glob("identity*")] == ["identity.json"]


def test_a_process_records_to_disk_when_its_directory_is_deleted_under_it(
    *,
    emptied: Path,
    spool: Path,
    open_journal: Open,
    record: Make,
    shown: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the directory is deleted before the process has a file in it, it is made again."""
    create_private = process_files.create_private

    def deleted_at_once(root: Path, directory: Path) -> None:
        monkeypatch.undo()
        create_private(root, directory)
        remove_all(spool)
        assert not directory.exists()

    monkeypatch.setattr(process_files, "create_private", deleted_at_once)
    journal = open_journal()
    assert journal.append(record(2))

    assert not journal.is_degraded
    assert shown() == [("https://api.example", None, 1)]


def test_a_crash_during_the_deletion_harms_no_later_process(
    emptied: Path, spool: Path, open_journal: Open, record: Make, shown: Shown
) -> None:
    """If the command is killed after it has deleted the identity, the next process writes it."""
    (emptied / "identity.json").unlink()
    assert open_journal().append(record(2))
    assert remove_all(spool) == 1
    assert shown() == [("https://api.example", None, 1)]
