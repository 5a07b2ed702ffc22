"""Closing recorders: all at once, and any number of times."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from certificates import self_signed
from prefactor_recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = """
import sys
from prefactor_recorder import Recorder

for number in range(20):
    recorder = Recorder(sys.argv[1], "token", spool_dir=sys.argv[2], exit_timeout=4)
    with recorder.run(agent_id="one-of-many") as run, run.span("agent:step"):
        pass
"""
LATE = """
import sys
from prefactor_recorder import Recorder

recorder = Recorder(sys.argv[1], "token", spool_dir=sys.argv[2], exit_timeout=0)
run = recorder.run(agent_id="late")
run.start()

class Late:
    def __del__(self):
        with run.span("agent:last-words"):
            recorder.flush(1)

late = [Late()]
late.append(late)
"""


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def run_program(source: str, url: str, spool: Path) -> str:
    """Run a program to its end and return its output."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, url, str(spool)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=40,
        check=True,
    )
    return ended.stdout


def test_many_recorders_end_together(silent: str, tmp_path: Path) -> None:
    """At exit a program waits for all of its recorders at once, not in turn."""
    run_program(MANY, silent, tmp_path)
    assert len([*tmp_path.rglob("*.seg")]) == 20


def test_recording_after_the_end_is_harmless(silent: str, tmp_path: Path) -> None:
    """A finaliser may record during interpreter shutdown; nothing is raised or printed."""
    said = run_program(LATE, silent, tmp_path)
    assert "Traceback" not in said
    assert "no room" not in said


LEAVING = """
import sys
from prefactor_recorder import Recorder

recorder = Recorder(
    sys.argv[1], "token", spool_dir=sys.argv[2], exit_timeout={seconds}, durability="{durability}"
)
with recorder.run(agent_id="leaving"):
    pass
"""


@pytest.mark.parametrize(
    ("durability", "said"),
    [("disk", "3 wait in the spool"), ("memory", "3 were in memory and end with this process")],
)
def test_closing_logs_undelivered_records(
    silent: str, tmp_path: Path, durability: str, said: str
) -> None:
    """One log line says how much was not delivered, and where it is kept."""
    printed = run_program(LEAVING.format(durability=durability, seconds=0.1), silent, tmp_path)
    assert printed.startswith("3 recorded operations are not delivered: ")
    assert said in printed
    assert printed.count("\n") == 1


def test_closing_again_reports_undelivered_records(silent: str, tmp_path: Path) -> None:
    """Closing or flushing a closed recorder reports undelivered records again."""
    recorder = Recorder(silent, "token", spool_dir=tmp_path)
    with recorder.run(agent_id="left"):
        pass
    assert recorder.close(0) == 3
    assert recorder.close(0) == 3
    assert recorder.flush(0) == 3
    assert recorder.stats().undelivered == 3


def test_two_threads_may_close_a_recorder(silent: str, tmp_path: Path) -> None:
    """Both threads find it closed, and a longer timeout of one does not delay the other."""
    recorder = Recorder(silent, "token", spool_dir=tmp_path)
    with recorder.run(agent_id="left"):
        pass
    left: list[int] = []
    patient = threading.Thread(target=lambda: left.append(recorder.close(3600)))
    patient.start()
    while not recorder._closed:
        pass
    assert recorder.close(0.1) == 3
    patient.join(60)
    assert left == [3]


def test_exit_while_certificates_are_loaded(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that ends while delivery loads the system's certificates does not crash."""
    certificate = self_signed(tmp_path / "certificate.pem")
    many = tmp_path / "many.pem"
    many.write_bytes(certificate.read_bytes() * 1_500)  # loading them takes about a second
    monkeypatch.setenv("SSL_CERT_FILE", str(many))
    printed = run_program(
        LEAVING.format(durability="disk", seconds=0.4), silent, tmp_path / "spool"
    )
    assert "3 wait in the spool" in printed


INTERRUPTED = """
import atexit, os, signal, sys
from prefactor_recorder import Recorder

def stop(*_):
    raise {error}

signal.signal(signal.SIGTERM, stop)
recorders = [
    Recorder(sys.argv[1], str(number), spool_dir=sys.argv[2], exit_timeout=3600)
    for number in range(2)
]
for recorder in recorders:
    with recorder.run(agent_id="leaving"):
        pass
atexit.register(os.spawnlp, os.P_NOWAIT, "sh", "sh", "-c", f"sleep 0.5; kill {{os.getpid()}}")
"""
EARLY = """
import atexit, sys, time
from prefactor_recorder import Recorder

def record():
    recorder = Recorder(sys.argv[1], "token", spool_dir=sys.argv[2], exit_timeout=0)
    with recorder.run(agent_id="one"):
        pass
    return recorder

record()
atexit._run_exitfuncs()
recorder = record()
while not recorder.stats().requests:
    time.sleep(0.01)
"""
LAST = """
import atexit, sys
from prefactor_recorder import Recorder

def record():
    recorder = Recorder(sys.argv[1], "token", spool_dir=sys.argv[2], exit_timeout=0)
    for _ in range(3):
        with recorder.run(agent_id="one"):
            pass

atexit.register(record)
record()
"""
FIRST_INTERRUPTED = """
import sys, threading, time
from prefactor_recorder import Recorder

def interrupt(frame, event, argument):
    if frame.f_code is {where}.__code__:
        sys.settrace(None)
        raise KeyboardInterrupt

recorder = Recorder(sys.argv[1], "token", spool_dir=sys.argv[2], exit_timeout=0)
def first():
    sys.settrace(interrupt)
    with recorder.run(agent_id="first"):
        pass

try:
    first()
except KeyboardInterrupt:
    print("interrupted")
with recorder.run(agent_id="second"):
    pass
while not recorder.stats().requests:
    time.sleep(0.01)
print([thread.name for thread in threading.enumerate()])
"""


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit(4)"])
def test_a_signal_ends_the_wait_at_exit(silent: str, tmp_path: Path, error: str) -> None:
    """Another Ctrl-C, or a handler of SIGTERM that raises, ends the wait without a traceback."""
    lines = run_program(INTERRUPTED.format(error=error), silent, tmp_path).splitlines()
    assert [line[:17] for line in lines] == ["3 recorded operat"] * 2


def test_an_interrupted_program_ends_by_sigint(silent: str, tmp_path: Path) -> None:
    """A shell that runs a script in a loop sees that Ctrl-C ended it, as without the recorder."""
    program = LEAVING.format(durability="disk", seconds=2) + "raise KeyboardInterrupt"
    command = [sys.executable, "-c", program, silent, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGINT


def test_exit_handlers_that_are_called_early_end_only_earlier_recorders(
    silent: str, tmp_path: Path
) -> None:
    """A host that calls its exit handlers and goes on can record and deliver again."""
    lines = run_program(EARLY, silent, tmp_path).splitlines()
    assert [line[:17] for line in lines] == ["3 recorded operat", "6 recorded operat"]


def test_a_first_record_after_the_end_is_kept(silent: str, tmp_path: Path) -> None:
    """An exit handler that runs after the recorder's may use another one, which stays quiet."""
    assert run_program(LAST, silent, tmp_path).count("\n") == 1
    assert len([*tmp_path.rglob("*.seg")]) == 2


@pytest.mark.parametrize(
    "where", ["threading.Event.wait", "threading.Thread.__init__", "threading.Thread.start"]
)
def test_an_interrupt_while_the_thread_starts(silent: str, tmp_path: Path, where: str) -> None:
    """After a Ctrl-C in the first record, one thread delivers what the program records next."""
    printed = run_program(FIRST_INTERRUPTED.format(where=where), silent, tmp_path)
    assert printed.startswith("interrupted\n['MainThread', 'prefactor-recorder']\n")
