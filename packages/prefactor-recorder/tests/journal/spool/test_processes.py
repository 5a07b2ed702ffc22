"""Real processes on one spool: killed, forked, side by side."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prefactor_recorder.journal.base import Journal
from prefactor_recorder.journal.spool import SpoolJournal

Open = Callable[..., SpoolJournal]
ReadIds = Callable[[Journal], list[str]]
Program = subprocess.Popen[str]
Start = Callable[..., Program]

START = """
import os, signal, sys, time
from pathlib import Path
from prefactor_recorder.encoding.record import Operation, encode
from prefactor_recorder.journal.spool import SpoolJournal

def record(number, size=500):
    return encode(Operation.CREATE_SPAN, b"run", b"span-%d" % number, b"x" * size)

def say(text):
    os.write(1, text.encode() + b"\\n")

def open_journal():
    return SpoolJournal(
        Path(sys.argv[1]), api_url="https://api.example", api_token="token", segment_size=20_000
    )

journal = open_journal()
"""

RECORDS_AND_SETTLES = """
number = 0
while True:
    for _ in range(7):
        assert journal.append(record(number))
        say(f"+span-{number}")
        number += 1
    entries = journal.read(2000)
    journal.ack(entries)
    for entry in entries:
        say(f"-{entry.record.id}")
"""


@pytest.fixture
def start(spool: Path) -> Iterator[Start]:
    """Starts a process that works on the spool and reports what it did."""
    started: list[Program] = []

    def make(code: str, place: Path = spool) -> Program:
        program = subprocess.Popen(
            [sys.executable, "-c", START + code, place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(program)
        return program

    yield make
    for program in started:
        program.kill()
        program.wait()
        for pipe in (program.stdin, program.stdout):
            if pipe:
                pipe.close()


def lines(program: Program, count: int) -> list[str]:
    """Return the next lines that a process prints."""
    assert program.stdout
    return [program.stdout.readline().strip() for _ in range(count)]


def rest(program: Program) -> list[str]:
    """Return the complete lines that a process prints until it ends."""
    assert program.stdout
    said = program.stdout.read().split("\n")[:-1]
    # Its lock is released a moment after its output ends.
    program.wait()
    return said


def tell(program: Program) -> None:
    """Let a waiting process continue."""
    assert program.stdin
    program.stdin.write("go\n")
    program.stdin.flush()


def test_a_killed_process_loses_nothing(
    start: Start, open_journal: Open, spool: Path, read_ids: ReadIds
) -> None:
    """Whenever a process is killed, the next one reads its unsettled records."""
    for number in range(5):
        program = start(RECORDS_AND_SETTLES, spool / str(number))
        said = lines(program, 50 + 37 * number)
        program.kill()
        said += rest(program)
        recorded = {line[1:] for line in said if line.startswith("+")}
        acked = {line[1:] for line in said if line.startswith("-")}
        successor = open_journal(spool_dir=spool / str(number))
        successor.adopt()
        found = read_ids(successor)

        assert len(found) == len(set(found))
        assert not set(found) & acked
        # The kill may come between an action and its report: one record, or a few settled together.
        assert len(set(found) - recorded) <= 1
        assert len(recorded - acked - set(found)) <= 5


def test_the_last_record_before_a_kill_is_kept(
    start: Start, open_journal: Open, read_ids: ReadIds
) -> None:
    """A process killed at any moment leaves every record that it reported."""
    program = start("for number in range(10**9): journal.append(record(number)); say('x')")
    said = lines(program, 500)
    program.kill()
    count = len(said + rest(program))
    successor = open_journal()
    successor.adopt()
    found = read_ids(successor)

    assert found[:count] == [f"span-{number}" for number in range(count)]
    assert len(found) - count <= 1


def test_processes_share_a_directory(start: Start, open_journal: Open, read_ids: ReadIds) -> None:
    """Two processes that record in one directory do not affect each other, and lose nothing."""
    code = """
for number in range(300): journal.append(record(number))
say("ready"); sys.stdin.readline(); say(str(journal.adopt()))
"""
    both = [start(code) for _ in range(2)]
    for program in both:
        assert lines(program, 1) == ["ready"]
    tell(both[0])
    assert rest(both[0]) == ["0"]
    tell(both[1])
    # The first is dead by now.
    assert lines(both[1], 1) == ["300"]
    assert rest(both[1]) == []
    successor = open_journal()

    assert successor.adopt() == 600
    found = read_ids(successor)
    assert {name: found.count(name) for name in found} == {f"span-{n}": 2 for n in range(300)}


def test_each_record_is_adopted_once(start: Start) -> None:
    """However many processes adopt at once, each record is adopted by exactly one."""
    dead = start("for number in range(100): journal.append(record(number))")
    assert rest(dead) == []
    successors = [start("say(str(journal.adopt())); sys.stdin.readline()") for _ in range(4)]

    assert sorted(lines(successor, 1) for successor in successors) == [["0"], ["0"], ["0"], ["100"]]


def test_a_child_does_not_affect_its_parents_lock(
    start: Start, open_journal: Open, read_ids: ReadIds
) -> None:
    """The parent keeps its lock when a child dies, and its own death releases the lock."""
    program = start(
        """
journal.append(record(1))
if not (child := os.fork()):
    journal.after_fork()
    assert journal.undelivered == journal.unread == 0
    journal.append(record(2))
    os._exit(0)
os.waitpid(child, 0)
if not (child := os.fork()):
    journal.after_fork()
    journal.append(record(3))
    say("ready")
    signal.pause()
sys.stdin.readline()
say(str(child))
sys.stdin.readline()
"""
    )
    assert lines(program, 1) == ["ready"]
    successor = open_journal()

    # Only the first child is dead.
    assert successor.adopt() == 1
    assert read_ids(successor) == ["span-2"]
    tell(program)
    second = int(lines(program, 1)[0])
    tell(program)
    assert program.wait() == 0
    # The second child lives on, with its own record.
    assert successor.adopt() == 1
    assert read_ids(successor) == ["span-1"]
    os.kill(second, signal.SIGKILL)
    assert rest(program) == []
    # This process cannot wait for a grandchild, but its lock shows its end.
    while not (taken := successor.adopt()):
        time.sleep(0.01)
    assert taken == 1
    assert read_ids(successor) == ["span-3"]


def test_a_record_made_in_a_signal_handler_is_kept(
    start: Start, open_journal: Open, read_ids: ReadIds
) -> None:
    """A handler may interrupt recording at any point and record; every record is kept once."""
    program = start(
        """
handled = 0
def handler(*_):
    global handled
    handled += 1
    assert journal.append(record(1_000_000 + handled))
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for number in range(20_000):
    assert journal.append(record(number, 100))
signal.setitimer(signal.ITIMER_REAL, 0)
assert journal.undelivered == number + 1 + handled
say(str(number + 1 + handled))
"""
    )
    count = int(rest(program)[0])
    successor = open_journal()

    assert count > 20_000
    assert successor.adopt() == count
    found = read_ids(successor)
    assert len(set(found)) == count
    assert [name for name in found if len(name) < 12] == [f"span-{n}" for n in range(20_000)]
