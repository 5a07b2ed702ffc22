"""The journal on disk: nothing is lost, and nothing is settled twice."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from prefactor_recorder.encoding.record import FRAME_SIZE, MAX_RECORD, Operation
from prefactor_recorder.journal.base import Journal
from prefactor_recorder.journal.spool import SpoolJournal

Open = Callable[..., SpoolJournal]
Make = Callable[..., bytes]
ReadIds = Callable[[Journal], list[str]]


def files(spool: Path, suffix: str) -> list[Path]:
    """The files of one kind anywhere in the spool."""
    return sorted(path for path in spool.rglob("*") if path.name.endswith(suffix))


def die(journal: SpoolJournal) -> None:
    """Leave everything as a killed process does, with closed descriptors."""
    journal.after_fork()


def test_nothing_is_touched_before_the_first_record(open_journal: Open, spool: Path) -> None:
    """A journal without records creates no file or directory, even when maintained."""
    journal = open_journal()
    journal.maintain()
    assert journal.adopt() == 0
    journal.close()

    assert not spool.exists()


def test_records_are_read_in_the_order_they_were_appended(
    open_journal: Open, record: Make, read_ids: ReadIds
) -> None:
    """Across several segments, records are read once and in order."""
    journal = open_journal(segment_size=2000)
    for number in range(100):
        assert journal.append(record(number, size=100))
    assert journal.undelivered == 100
    assert journal.unread == sum(len(record(number, size=100)) for number in range(100))

    assert read_ids(journal) == [f"span-{number}" for number in range(100)]
    assert journal.unread == 0
    assert journal.undelivered == 100
    assert journal.read(1000) == []


def test_maintenance_syncs_new_records_to_disk(
    open_journal: Open, record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each maintenance syncs the segments with new records, so a power failure loses no others."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append, raising=False)
    journal = open_journal(segment_size=2000)
    for number in range(30):
        journal.append(record(number, size=100))
    journal.maintain()
    assert len(synced) == len(set(synced)) > 1

    first = len(synced)
    journal.maintain()
    assert len(synced) == first
    journal.append(record(31))
    journal.maintain()
    assert len(synced) == first + 1


def test_a_read_returns_about_the_requested_size(open_journal: Open, record: Make) -> None:
    """A read exceeds its limit by at most a record or two, and returns a larger record too."""
    journal = open_journal()
    for number in range(100):
        journal.append(record(number, size=10_000))

    assert len(journal.read(1)) == 1
    assert 5 <= len(journal.read(60_000)) <= 7
    journal.append(record(100, size=300_000))
    rest = [journal.read(1) for _ in range(100)]
    assert {len(entries) for entries in rest} <= {0, 1}
    assert [entry.size > 300_000 for entries in rest for entry in entries][-1]


def test_settled_files_are_deleted(open_journal: Open, record: Make, spool: Path) -> None:
    """Files whose records are all settled are deleted, and close leaves nothing."""
    journal = open_journal(segment_size=2000)
    for number in range(100):
        journal.append(record(number, size=100))
    journal.ack(journal.read(1_000_000))

    assert journal.undelivered == 0
    assert len(files(spool, ".seg")) == 1
    journal.close()
    assert [path.name for path in files(spool, "") if path.is_file()] == ["identity.json"]


def test_settling_twice_counts_once(open_journal: Open, record: Make) -> None:
    """Settling an entry again, alone or with others, does not count it again."""
    journal = open_journal()
    for number in range(3):
        journal.append(record(number))
    entries = journal.read(1000)
    journal.ack(entries[:2])
    journal.ack(entries[:2])
    journal.ack([entries[0]])

    assert journal.undelivered == 1


def test_dead_processes_are_adopted(
    open_journal: Open, record: Make, read_ids: ReadIds, spool: Path
) -> None:
    """The next process reads exactly the records that a killed one had not settled."""
    first = open_journal(segment_size=2000)
    for number in range(50):
        first.append(record(number, size=100))
    entries = first.read(3000)
    acked = {entry.record.id for entry in entries[::2]}
    first.ack(entries[::2])
    die(first)
    with files(spool, ".seg")[-1].open("ab") as last:
        last.write(record(50, size=100)[:-1])

    second = open_journal()
    expected = [f"span-{number}" for number in range(50) if f"span-{number}" not in acked]
    assert second.adopt() == len(expected)
    assert second.undelivered == len(expected)
    # Only readable records count: neither settled ones nor a torn end.
    assert second.unread == sum(len(record(int(name[5:]), size=100)) for name in expected)
    assert read_ids(second) == expected
    assert second.adopt() == 0


def test_live_processes_are_not_adopted(open_journal: Open, record: Make) -> None:
    """Neither of two processes in one directory takes the other's records."""
    first, second = open_journal(), open_journal()
    first.append(record(1))
    second.append(record(2))

    assert (first.adopt(), second.adopt()) == (0, 0)


def test_one_of_two_adopters_wins(open_journal: Open, record: Make) -> None:
    """Adopted records are adopted by another process only after the first one has died."""
    dead, first, second = (open_journal() for _ in range(3))
    for number in range(10):
        dead.append(record(number, size=1000))
    die(dead)

    assert first.adopt() == 10
    assert second.adopt() == 0
    first.ack(first.read(3000))
    left = first.undelivered
    assert 0 < left < 10
    die(first)
    assert second.adopt() == left


def test_delivered_dead_processes_leave_no_file(
    open_journal: Open, record: Make, spool: Path
) -> None:
    """When the last record of a dead process is settled, its files are deleted with its lock."""
    dead = open_journal(segment_size=500)
    for number in range(10):
        dead.append(record(number, size=100))
    die(dead)
    successor = open_journal()
    successor.adopt()
    successor.ack(successor.read(100_000))

    assert successor.undelivered == 0
    assert [path.name for path in files(spool, "") if path.is_file()] == ["identity.json"]


def test_another_account_is_not_adopted(
    open_journal: Open, record: Make, read_ids: ReadIds
) -> None:
    """Another token's records are adopted only if the account is the same."""
    old, other = open_journal(api_token="old"), open_journal(api_token="other")
    for journal, account in ((old, "acc-1"), (other, "acc-2")):
        journal.append(record(1 if journal is old else 2))
        journal.learn_account(account)
        die(journal)

    successor = open_journal(api_token="new")
    successor.append(record(3))
    assert successor.adopt() == 0
    successor.learn_account("acc-1")
    assert successor.adopt() == 1
    assert read_ids(successor) == ["span-3", "span-1"]


def test_another_api_is_another_spool(open_journal: Open, record: Make) -> None:
    """Records for one server are never sent to another, even with the same token."""
    one = open_journal(api_url="https://one.example")
    one.append(record(1))
    die(one)

    assert open_journal(api_url="https://two.example").adopt() == 0


def test_the_spool_is_private(open_journal: Open, record: Make, spool: Path) -> None:
    """Directories are 0700 and files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        journal = open_journal()
        for number in range(2):
            journal.append(record(number))
        entries = journal.read(1000)
        journal.ack(entries[:1])
        journal.dead_letter(entries[1], {"code": "invalid"})
    finally:
        os.umask(before)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in spool.rglob("*") if path.is_file()}
    assert modes == {0o600}
    below = [spool, *(path for path in spool.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in below} == {0o700}


def test_threads_record_while_one_delivers(open_journal: Open, record: Make) -> None:
    """Eight threads record: nothing is lost or read twice, and each thread's order is kept."""
    journal = open_journal(segment_size=20_000)

    def work(run: str) -> None:
        for number in range(400):
            assert journal.append(record(number, size=50, run=run))

    threads = [threading.Thread(target=work, args=(f"run-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    found: dict[str, list[str]] = {}
    while any(thread.is_alive() for thread in threads) or journal.unread:
        entries = journal.read(3000)
        for entry in entries:
            found.setdefault(entry.record.run_id, []).append(entry.record.id)
        journal.ack(entries)
        journal.maintain()

    assert found == {f"run-{n}": [f"span-{number}" for number in range(400)] for n in range(8)}
    assert (journal.undelivered, journal.dropped) == (0, 0)


def test_a_busy_process_still_delivers_adopted_records(open_journal: Open, record: Make) -> None:
    """Each read has a share of adopted records, however many of its own are waiting."""
    dead = open_journal()
    dead.append(record(0, run="dead"))
    die(dead)
    successor = open_journal()
    successor.adopt()
    for number in range(100):
        successor.append(record(number, size=1000))

    assert "dead" in [entry.record.run_id for entry in successor.read(20_000)]


def test_records_over_the_quota_are_dropped_and_counted(open_journal: Open, record: Make) -> None:
    """Over the quota, records are dropped and counted, until others are delivered."""
    journal = open_journal(limit=80_000)
    kept = sum(journal.append(record(number, size=1000)) for number in range(100))

    assert 60 < kept < 80
    assert journal.dropped == 100 - kept
    assert journal.undelivered == kept
    journal.ack(journal.read(1_000_000))
    assert journal.append(record(100))


def test_own_records_count_once_towards_the_quota(open_journal: Open, record: Make) -> None:
    """Measuring the directory does not count this process's segments a second time."""
    journal = open_journal(limit=80_000)
    for number in range(50):
        assert journal.append(record(number, size=1000))
    journal.maintain()

    assert all(journal.append(record(number, size=1000)) for number in range(50, 60))


def test_the_last_part_of_the_quota_is_for_ends(
    open_journal: Open, record: Make, spool: Path
) -> None:
    """When a beginning no longer fits, an end still does, up to the limit itself."""
    journal = open_journal(limit=100_000)
    while journal.append(record(1, size=1000)):
        pass
    ends = 0
    while journal.append(record(1, size=200, operation=Operation.FINISH_SPAN)):
        ends += 1

    assert ends > 10
    assert sum(path.stat().st_size for path in files(spool, ".seg")) <= 100_000


def test_an_oversized_record_is_dropped(open_journal: Open) -> None:
    """A record over the maximum size is not written, and is counted."""
    journal = open_journal()

    assert not journal.append(bytes(FRAME_SIZE + MAX_RECORD + 1))
    assert (journal.undelivered, journal.dropped) == (0, 1)


def test_other_processes_count_towards_the_quota(open_journal: Open, record: Make) -> None:
    """The limit applies to the directory, including other processes' files."""
    dead = open_journal(limit=80_000)
    while dead.append(record(1, size=1000)):
        pass
    die(dead)
    successor = open_journal(limit=80_000)
    successor.maintain()

    assert not successor.append(record(2, size=1000))
    successor.adopt()
    successor.ack(successor.read(1_000_000))
    assert successor.append(record(3, size=1000))
