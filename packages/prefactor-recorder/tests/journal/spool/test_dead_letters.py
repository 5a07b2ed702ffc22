"""Dead letters are kept with the reason for their rejection."""

from collections.abc import Callable
from pathlib import Path

import pytest

from prefactor_recorder.journal.spool import SpoolJournal

Open = Callable[..., SpoolJournal]
Make = Callable[..., bytes]


def clock() -> float:
    """A stopped clock."""
    return 0.0


def test_dead_letters_are_kept_with_the_servers_answer(
    open_journal: Open, record: Make, spool: Path
) -> None:
    """A rejected record is settled, and its dead letter outlives the process."""
    journal = open_journal()
    journal.append(record(1))
    journal.dead_letter(journal.read(1)[0], {"code": "invalid", "message": "no such run"})
    journal.close()

    (letters,) = spool.rglob("*.dead")
    assert '"message":"no such run"' in letters.read_text()
    assert '"id":"span-1"' in letters.read_text()
    assert open_journal().adopt() == 0


def test_dead_letters_of_dead_processes_are_kept(
    open_journal: Open, record: Make, spool: Path
) -> None:
    """A rejected record of a dead process is kept, even by a process without records."""
    dead = open_journal()
    dead.append(record(1))
    dead.after_fork()
    (segment,) = spool.rglob("*.seg")
    successor = open_journal()
    successor.adopt()
    successor.dead_letter(successor.read(1)[0], {"code": "invalid", "message": "no such run"})

    assert not segment.exists()
    letters = segment.with_name(segment.stem.rpartition("-")[0] + ".dead")
    assert '"message":"no such run"' in letters.read_text()


def test_dead_letters_have_a_quota(
    open_journal: Open, record: Make, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Dead letters may take an eighth of the quota.

    Beyond it the oldest files are deleted and logged.
    """
    for number in range(3):
        journal = open_journal(limit=100_000)
        for _ in range(20):
            journal.append(record(number, size=1000))
            for entry in journal.read(10_000):
                journal.dead_letter(entry, {"code": "invalid", "message": "no such run"})
        journal.maintain()
        journal.close()
    letters = list(spool.rglob("*.dead"))

    assert len(letters) == 1
    assert 5000 < letters[0].stat().st_size <= 12_500
    assert '"id":"span-2"' in letters[0].read_text()
    assert caplog.text.count("could not be written as dead letters") == 3
    assert caplog.text.count("deleted 1 old files of dead letters") == 2


def test_a_dead_letter_that_cannot_be_stored_is_logged(
    open_journal: Open, record: Make, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """If a dead letter cannot be stored, the log has the record's key and the rejection."""
    spool.parent.mkdir()
    spool.write_text("a file is in the way")
    journal = open_journal(clock=clock)
    journal.append(record(1))
    journal.dead_letter(journal.read(1)[0], {"code": "invalid", "message": "no such run"})
    journal.maintain()

    assert journal.undelivered == 0
    assert "could not be written as dead letters, the last: span-1-create, no such run" in (
        caplog.text
    )
