"""Putting dead letters back while their process continues, and during failures."""

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prefactor_recorder.cli.main import main
from prefactor_recorder.cli.retry import retry
from prefactor_recorder.encoding.record import Operation, Record
from prefactor_recorder.journal.spool import SpoolJournal
from prefactor_recorder.journal.spool.dead_letters import (
    append_dead_letter,
    encode_dead_letter,
    read_dead_letters,
    take_dead_letters,
)

Open = Callable[..., SpoolJournal]
Make = Callable[..., bytes]
REFUSAL = {"code": "not_found", "message": "not here"}


def letter(
    number: int, operation: Operation = Operation.CREATE_SPAN, run: str = "run-00000001"
) -> bytes:
    """A dead letter of a run."""
    record = Record(operation, run, f"span-{number}", b'"payload":{}')
    return encode_dead_letter(record, REFUSAL, datetime.now(UTC))


def waiting(spool: Path, open_journal: Open) -> list[str]:
    """Return the ids of everything that the next process adopts."""
    journal = open_journal(spool_dir=spool)
    journal.adopt()
    found: list[str] = []
    while entries := journal.read(100_000):
        found += [entry.record.id for entry in entries]
    return found


@pytest.fixture
def file(open_journal: Open, record: Make, spool: Path) -> Path:
    """Where a process that is alive keeps its dead letters."""
    journal = open_journal()
    journal.append(record(0))
    (segment,) = spool.rglob("*.seg")
    return segment.with_name(segment.stem.rpartition("-")[0] + ".dead")


def test_retry_beside_a_live_process_loses_nothing(
    file: Path, open_journal: Open, spool: Path
) -> None:
    """Dead letters added during a retry are either queued again or kept."""
    total = 300

    def add() -> None:
        for number in range(total):
            append_dead_letter(file, letter(number), 10**8)

    adding = threading.Thread(target=add)
    adding.start()
    put_back = 0
    while adding.is_alive():
        put_back += len(retry(file, None).queued)
    adding.join()
    put_back += len(retry(file, None).queued)

    assert put_back == total
    assert not file.exists()
    # A process adopts a bounded number of others at a time.
    segments = len([*spool.rglob("*.seg")]) - 1
    found: list[str] = []
    while len(found) < total and segments > 0:
        journal = open_journal()
        journal.adopt()
        while entries := journal.read(100_000):
            found += [entry.record.id for entry in entries]
            journal.ack(entries)
        segments -= 1
    assert sorted(found) == sorted(f"span-{number}" for number in range(total))


def test_a_failed_retry_keeps_the_dead_letter(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the spool cannot be written, nothing is deleted, and nothing partial is left."""
    append_dead_letter(file, letter(1), 10**8)
    before = file.read_bytes(), {path.name for path in file.parent.iterdir()}
    monkeypatch.setattr("prefactor_recorder.journal.spool.segment.Segment.add", _fail)
    with pytest.raises(OSError, match="the disk is full"):
        retry(file, None)
    assert (file.read_bytes(), {path.name for path in file.parent.iterdir()}) == before


def _fail(*_: object) -> None:
    raise OSError("the disk is full")


def test_a_retry_on_a_full_disk_leaves_nothing_partial(file: Path, spool: Path) -> None:
    """If the rest of the dead letters cannot be written again, their copy is deleted."""
    append_dead_letter(file, letter(1), 10**8)
    record = Record(Operation.CREATE_SPAN, "run-2", "span-2", b'"payload":"%b"' % (b"x" * 10**6))
    append_dead_letter(file, encode_dead_letter(record, REFUSAL, datetime.now(UTC)), 10**8)
    first, _ = read_dead_letters(file)
    program = Path(sys.executable).parent / "prefactor-spool"
    command = [program, "retry", first.id, "--spool-dir", spool]
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert "File too large" in ended.stderr
    assert [path for path in file.parent.iterdir() if ".dead" in path.name] == [file]
    assert len(read_dead_letters(file)) == 2


def test_a_crash_before_dead_letters_are_deleted_loses_none(
    file: Path, open_journal: Open, spool: Path
) -> None:
    """A dead letter queued again but not deleted is queued once more, under the same key."""
    append_dead_letter(file, letter(1), 10**8)
    content = file.read_bytes()
    retry(file, None)
    file.write_bytes(content)
    retry(file, None)
    assert waiting(spool, open_journal) == ["span-1", "span-1"]


def test_invalid_lines_are_kept(file: Path) -> None:
    """A torn line, another version's operation and an invalid id are left alone."""
    strange = [
        b'{"time": "torn\n',
        b"[1]\n",
        b'{"record":{"operation":"agents/explode","run_id":"r","id":"i","body":""}}\n',
        b'{"record":{"operation":"agent_spans/create","run_id":"../..","id":"i","body":""}}\n',
    ]
    file.write_bytes(b"".join([strange[0], letter(1), *strange[1:]]))
    done = retry(file, None)
    assert ([each.record and each.record.id for each in done.queued], done.left) == (
        ["span-1"],
        2,
    )
    assert file.read_bytes() == b"".join(strange)
    assert len(read_dead_letters(file)) == 2


def test_a_run_begins_with_its_registration(file: Path, open_journal: Open, spool: Path) -> None:
    """In whatever order the dead letters are, the registration and the start come first."""
    for number, operation in enumerate(
        [Operation.FINISH, Operation.CREATE_SPAN, Operation.START, Operation.REGISTER]
    ):
        append_dead_letter(file, letter(number, operation), 10**8)
    retry(file, None)
    assert waiting(spool, open_journal) == ["span-3", "span-2", "span-1", "span-0"]


def test_a_named_dead_letter_brings_its_dependencies(
    file: Path, open_journal: Open, spool: Path
) -> None:
    """Among interleaved runs, each named letter brings its span's create and its run's start."""
    runs = [f"run-{number:08}" for number in range(40)]
    operations = (Operation.FINISH_SPAN, Operation.CREATE_SPAN, Operation.FINISH, Operation.START)
    for operation in operations:
        for number, run in enumerate(runs):
            append_dead_letter(file, letter(number, operation, run), 10**8)
    again = letter(3, Operation.FINISH_SPAN, runs[3])
    append_dead_letter(file, again, 10**8)
    ends = [each.id for each in read_dead_letters(file)[: len(runs)]]
    status = main(["retry", "--spool-dir", str(spool), ends[3], runs[7], ends[20]])

    assert status == 0
    assert waiting(spool, open_journal) == [
        *("span-3", "span-7", "span-20"),  # starts
        *("span-3", "span-7", "span-20", "span-3", "span-7", "span-20"),  # finishes, creates
        "span-3",  # the same record, dead-lettered again
        "span-7",  # the finish of the named run
    ]
    assert len(read_dead_letters(file)) == 4 * len(runs) + 1 - 11


def test_each_run_without_a_registration_gets_one(
    file: Path, open_journal: Open, spool: Path
) -> None:
    """With `--agent-id`, runs whose registration is lost are registered, and no other run."""
    runs = [f"run-{number:08}" for number in range(40)]
    append_dead_letter(file, letter(5, Operation.REGISTER, runs[5]), 10**8)
    for number in (0, 1):
        for run in runs:
            append_dead_letter(file, letter(number, run=run), 10**8)
    assert main(["retry", "--all", "--agent-id", "agent", "--spool-dir", str(spool)]) == 0

    rebuilt = [run for run in runs if run != runs[5]]
    spans = [f"span-{number}" for number in (0, 1) for _ in runs]
    assert waiting(spool, open_journal) == ["span-5", *rebuilt, *spans]


def test_retrying_nothing_does_not_rewrite_the_file(file: Path) -> None:
    """If nothing is queued again, the file is not rewritten."""
    append_dead_letter(file, letter(1), 10**8)
    before = file.stat().st_ino
    take_dead_letters(file, lambda _: set())
    assert file.stat().st_ino == before
