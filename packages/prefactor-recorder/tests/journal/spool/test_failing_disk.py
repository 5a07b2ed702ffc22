"""A disk that fails costs no record that memory can hold."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prefactor_recorder.journal.base import Journal
from prefactor_recorder.journal.spool import SpoolJournal, UnsafeDirectory, default_directory
from prefactor_recorder.journal.spool.paths import check_private

Open = Callable[..., SpoolJournal]
Make = Callable[..., bytes]


def clock() -> float:
    """A stopped clock."""
    return 0.0


ReadIds = Callable[[Journal], list[str]]
# A limit on the size of files simulates a full disk without special rights: a write that crosses it
# is cut short, and the next one fails.
FULL_DISK = """
import logging, resource, signal, sys
from pathlib import Path
from prefactor_recorder.encoding.record import Operation, encode
from prefactor_recorder.journal.spool import SpoolJournal

logging.basicConfig(stream=sys.stdout, format="%(message).30s")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def record(number):
    return encode(Operation.CREATE_SPAN, b"run", b"span-%d" % number, b"x" * 700)

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

now = 0
journal = SpoolJournal(
    Path(sys.argv[1]), api_url="https://api.example", api_token="token", clock=lambda: now
)
limit(10_000)
for number in range(200):
    assert journal.append(record(number))
assert journal.is_degraded
for _ in range(3):
    now += 100
    journal.maintain()
assert journal.is_degraded
# Enough for some of what waits in memory.
limit(70_000)
now += 100
journal.maintain()
assert journal.is_degraded
files = Path(sys.argv[1]).rglob("*.seg")
assert sum(path.stat().st_size for path in files) > 70_000
limit(resource.RLIM_INFINITY)
now += 100
journal.maintain()
assert not journal.is_degraded
for number in range(200, 300):
    assert journal.append(record(number))
assert journal.undelivered == 300 and journal.dropped == 0
entries = []
while found := journal.read(5000):
    entries += found
assert [entry.record.id for entry in entries] == [f"span-{number}" for number in range(300)]
journal.ack(entries)
assert journal.undelivered == 0
journal.close()
print(*sorted(path.name for path in Path(sys.argv[1]).rglob("*") if path.is_file()))
"""
NO_LOCKS = """
import logging, sys
sys.modules["fcntl"] = None
logging.basicConfig(stream=sys.stdout)
from pathlib import Path
from prefactor_recorder.encoding.record import Operation, encode
from prefactor_recorder.journal.spool import SpoolJournal
journal = SpoolJournal(Path(sys.argv[1]), api_url="https://api.example", api_token="token")
assert journal.append(encode(Operation.START, b"run", b"run", b""))
assert journal.adopt() == 0
journal.maintain()
assert journal.is_degraded
assert len(journal.read(1000)) == 1
"""


def test_a_full_disk_degrades_to_memory_and_back(spool: Path) -> None:
    """A write cut short loses and reorders nothing; one warning and one all-clear are logged."""
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, spool], capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        f"cannot record to {spool}"[:30],
        "recording to disk again",
        "identity.json",
    ]


def test_an_unusable_directory_degrades_to_memory(
    open_journal: Open,
    record: Make,
    read_ids: ReadIds,
    spool: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An unusable spool is logged once, with advice, and records are kept in memory."""
    spool.parent.mkdir()
    spool.write_text("a file is in the way")
    journal = open_journal(clock=clock)
    for number in range(10):
        assert journal.append(record(number))
    for _ in range(3):
        journal.maintain()

    assert journal.is_degraded
    assert read_ids(journal) == [f"span-{number}" for number in range(10)]
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert "PREFACTOR_SPOOL_DIR" in caplog.text


def test_a_directory_that_becomes_usable_is_used(
    open_journal: Open, record: Make, read_ids: ReadIds, spool: Path
) -> None:
    """Once the spool is usable, records go to disk again, after those in memory."""
    spool.parent.mkdir()
    spool.write_text("a file is in the way")
    now = [0.0]
    journal = open_journal(clock=lambda: now[0])
    journal.append(record(1))
    spool.unlink()
    now[0] += 100
    journal.maintain()
    journal.append(record(2))

    assert not journal.is_degraded
    assert len(list(spool.rglob("*.seg"))) == 1
    assert read_ids(journal) == ["span-1", "span-2"]
    # From here on, records that waited in memory are as safe as later ones.
    journal.after_fork()
    successor = open_journal()
    assert successor.adopt() == 2
    assert read_ids(successor) == ["span-1", "span-2"]


def test_closing_writes_memory_to_a_working_disk(
    open_journal: Open, record: Make, spool: Path
) -> None:
    """Closing a journal whose disk has come back leaves its records to the next process."""
    spool.parent.mkdir()
    spool.write_text("a file is in the way")
    journal = open_journal(clock=clock)
    for number in range(3):
        journal.append(record(number))
    spool.unlink()
    journal.close()

    assert not journal.append(record(3))
    assert journal.undelivered == 3
    assert open_journal().adopt() == 3


def test_memory_is_bounded_while_the_disk_fails(
    open_journal: Open, record: Make, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Over the memory limit, records are dropped, counted and logged."""
    spool.parent.mkdir()
    spool.write_text("a file is in the way")
    journal = open_journal(memory_limit=10_000, clock=clock)
    kept = sum(journal.append(record(number, size=1000)) for number in range(30))
    journal.maintain()

    assert 5 < kept < 10
    assert journal.dropped == 30 - kept
    assert f"{30 - kept} records were dropped" in caplog.text


def test_no_home_is_a_warning(
    open_journal: Open, record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no home directory is known, records wait in memory."""
    assert default_directory({"HOME": "nowhere"}) is None
    monkeypatch.setenv("HOME", "nowhere")
    journal = open_journal(spool_dir=None)

    assert journal.append(record(1))
    assert journal.is_degraded


def test_the_default_directory_is_the_platforms() -> None:
    """The state directory is the platform's, and a relative one is ignored."""
    assert default_directory({"HOME": "/homes/a"}, "linux") == Path(
        "/homes/a/.local/state/prefactor"
    )
    assert default_directory({"HOME": "/homes/a", "XDG_STATE_HOME": "/s"}, "linux") == Path(
        "/s/prefactor"
    )
    assert default_directory({"HOME": "/homes/a", "XDG_STATE_HOME": "s"}, "linux") == Path(
        "/homes/a/.local/state/prefactor"
    )
    assert default_directory({"HOME": "/people/a"}, "darwin") == Path(
        "/people/a/Library/Application Support/prefactor"
    )


def test_a_symbolic_link_is_refused(
    open_journal: Open, record: Make, spool: Path, tmp_path: Path
) -> None:
    """A symbolic link in place of a directory is not followed."""
    journal = open_journal()
    journal.append(record(1))
    journal.close()
    account = next(path for path in spool.rglob("*") if path.is_dir() and path.parent != spool)
    account.rename(tmp_path / "elsewhere")
    account.symlink_to(tmp_path / "elsewhere")
    before = sorted(path.name for path in account.iterdir())

    other = open_journal(clock=clock)
    assert other.append(record(2))
    assert other.is_degraded
    assert sorted(path.name for path in account.iterdir()) == before
    assert other.adopt() == 0


def test_another_users_directory_is_refused(tmp_path: Path) -> None:
    """A directory of another user is not used, and the message names the owner."""
    with pytest.raises(UnsafeDirectory, match=f"belongs to user {os.geteuid()}"):
        check_private(tmp_path, owners=(os.geteuid() + 1,))
    check_private(tmp_path)


def test_a_damaged_segment_costs_only_damaged_records(
    open_journal: Open,
    record: Make,
    read_ids: ReadIds,
    spool: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every intact record of a damaged segment is delivered, and the damage is logged once."""
    journal = open_journal()
    for number in range(100):
        journal.append(record(number, size=1000))
    journal.after_fork()
    (segment,) = spool.rglob("*.seg")
    data = bytearray(segment.read_bytes())
    size = len(record(10, size=1000))
    start = sum(len(record(number, size=1000)) for number in range(50))
    data[start + 1] ^= 0x10  # the length of one
    data[start + 10 * size + 700] ^= 0x01  # the body of another
    segment.write_bytes(data[:-5])

    successor = open_journal()
    expected = [f"span-{number}" for number in range(99) if number not in {50, 60}]
    assert successor.adopt() == len(expected)
    entries = []
    while found := successor.read(10_000):
        entries += found
    assert [entry.record.id for entry in entries] == expected
    successor.ack(entries)
    successor.maintain()
    assert successor.undelivered == 0
    assert not segment.exists()
    assert caplog.messages == [f"skipped {2 * size} damaged bytes of the spool"]


def test_reads_stay_small_despite_damage(
    open_journal: Open, record: Make, read_ids: ReadIds, spool: Path
) -> None:
    """A corrupt length over the whole file is detected, and reads stay small."""
    journal = open_journal()
    for number in range(300):
        journal.append(record(number, size=1000))
    journal.after_fork()
    (segment,) = spool.rglob("*.seg")
    data = bytearray(segment.read_bytes())
    data[2] |= 4  # about 262,000 bytes more than the true length
    segment.write_bytes(data)
    successor = open_journal()

    assert successor.adopt() == 299
    assert len(successor.read(10_000)) <= 10
    assert read_ids(successor) == [f"span-{number}" for number in range(11, 300)]


def test_damaged_acks_cost_a_second_delivery(
    open_journal: Open, record: Make, read_ids: ReadIds, spool: Path
) -> None:
    """Records whose ack was damaged are read again; others are not."""
    journal = open_journal()
    for number in range(30):
        journal.append(record(number, size=1000))
    journal.ack(journal.read(9500))
    journal.ack(journal.read(9500))
    left = journal.undelivered
    journal.after_fork()
    (acks,) = spool.rglob("*.ack")
    data = bytearray(acks.read_bytes())
    data[3] ^= 0x40
    acks.write_bytes(data + b"torn")

    successor = open_journal()
    assert successor.adopt() == left + 10
    entries = successor.read(3000)
    successor.ack(entries)
    successor.after_fork()
    assert open_journal().adopt() == left + 10 - len(entries)


def test_a_deleted_spool_is_recreated(
    open_journal: Open, record: Make, read_ids: ReadIds, spool: Path
) -> None:
    """If the directory is deleted, recording continues in a new one."""
    journal = open_journal()
    journal.append(record(1))
    for path in sorted(spool.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    journal.maintain()
    journal.append(record(2))

    assert not journal.is_degraded
    assert read_ids(journal) == ["span-1", "span-2"]
    journal.after_fork()
    assert open_journal().adopt() == 1


def test_a_system_without_locks_keeps_records_in_memory(spool: Path) -> None:
    """Without `flock` the package loads, and records wait in memory with a warning."""
    ran = subprocess.run(
        [sys.executable, "-c", NO_LOCKS, spool], capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stderr.strip()) == (0, "")
    assert "this system has no flock" in ran.stdout
    assert not spool.exists()


def test_a_closed_journal_rejects_records(open_journal: Open, record: Make) -> None:
    """After close, a record is rejected and counted, and the undelivered count is still known."""
    journal = open_journal()
    journal.append(record(1))
    entries = journal.read(1000)
    journal.close()
    journal.ack(entries)
    journal.maintain()

    assert not journal.append(record(2))
    assert journal.read(1000) == []
    assert (journal.undelivered, journal.dropped) == (1, 1)
