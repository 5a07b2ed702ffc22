"""The exit of a program takes bounded time, whatever the server does, and still delivers."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from certificates import self_signed
from checkout import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prefactor_http.testing import ScriptedServer

PROGRAM = """
import atexit, socket, sys, time
sys.path.insert(0, sys.argv[3])
from recorded import RecordedRun
from prefactor_recorder.delivery import Delivery, DeliverySettings
from prefactor_recorder.journal.memory import MemoryJournal

class Deaf:
    def terminated(self, run_id, reason): pass
    def open_runs(self): return []

journal = MemoryJournal(2**30)
settings = DeliverySettings(api_url=sys.argv[1], api_token=sys.argv[2], request_timeout=3600,
                            connect_timeout=3600)
delivery = Delivery(journal, settings, Deaf())

def at_exit():
    {at_exit}
    print("left", delivery.close({seconds}), flush=True)

atexit.register(at_exit)
{body}
"""


def run_program(
    url: str, token: str, *, body: str = "pass", at_exit: str = "pass", seconds: float = 60
) -> str:
    """Run a program that records, with a time limit for delivery; return its output."""
    source = PROGRAM.format(body=body, at_exit=at_exit, seconds=seconds)
    arguments = [url, token, str(ROOT / "tests" / "support")]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


STOPPED = """
import threading, time
from prefactor_recorder.locks import exit_lock

steps = 0

def work():
    global steps
    with exit_lock.running():
        while True:
            steps += 1
            {step}

def begin():
    threading.Thread(target=work, daemon=True).start()

begin()
while not steps:
    time.sleep(0.001)
threading.main_thread().is_alive = lambda: False
exit_lock.stop_threads()
reached = steps
begin()
time.sleep(0.1)
print(steps == reached)
"""
WAITING = """
            with exit_lock.waiting():
                time.sleep(0.001)
"""
SCANNING = """
            segment.count()
            segment._position = 0
"""
WRITTEN = """
import pathlib, tempfile
from prefactor_recorder.journal.spool.segment import create_segment
segment = create_segment(pathlib.Path(tempfile.mkdtemp(), "1-1.seg"))
segment.add(bytes(2 ** 20))
"""
IMPORTING = """
import sys, threading, time
from prefactor_recorder.locks import exit_lock
from prefactor_recorder.locks.import_lock import client_imports
from prefactor_recorder.delivery.thread import load_engine

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "aiohttp":
            reached.set()
            time.sleep(0.5)

def work():
    with exit_lock.running():
        load_engine()

reached = threading.Event()
sys.meta_path.insert(0, Slow())
threading.Thread(target=work, daemon=True).start()
reached.wait()
exit_lock.stop_threads()
time.sleep(0.5)
print("aiohttp" in sys.modules, "prefactor_http" in sys.modules)
print(client_imports._lock.acquire(blocking=False))
"""
REPLACED = """
import selectors

class Replacement(selectors.DefaultSelector):
    is_used = False

    def select(self, timeout=None):
        Replacement.is_used = True
        return super().select(timeout)

selectors.DefaultSelector = Replacement
"""
RECORD = "RecordedRun(journal).begin().span('span-00000001'); delivery.wake()"


def test_a_silent_server_does_not_delay_the_exit(silent: str) -> None:
    """Even with an hour's request timeout the program ends, and reports what is left."""
    body = RECORD + "; time.sleep(0.5)"
    assert run_program(silent, "token", body=body, seconds=0.5) == "left 4\n"


def test_a_hanging_name_lookup_does_not_delay_the_exit() -> None:
    """A hanging name lookup is abandoned with its thread."""
    hang = "socket.getaddrinfo = lambda *a, **k: time.sleep(3600); "
    said = run_program("http://recorder.invalid", "token", body=hang + RECORD, seconds=0.5)
    assert said == "left 4\n"


def test_names_are_resolved_at_exit(server: ScriptedServer) -> None:
    """A program's first connection may be made after executors have shut down."""
    url = server.url.replace("127.0.0.1", "localhost")
    record = "RecordedRun(journal).begin().span('span-00000001')"
    assert run_program(url, server.token, body="delivery.flush(30)", at_exit=record) == "left 0\n"
    assert list(server.spans) == ["span-00000001"]


def test_a_last_record_is_delivered_at_exit(server: ScriptedServer) -> None:
    """A record made on the last line is delivered at exit."""
    assert run_program(server.url, server.token, body=RECORD) == "left 0\n"
    assert server.spans["span-00000001"]["status"] == "complete"


def test_a_selector_that_is_replaced_after_the_import_is_used(server: ScriptedServer) -> None:
    """Otherwise delivery stops all greenlets of a program that lets gevent replace it later."""
    said = run_program(
        server.url,
        server.token,
        body=REPLACED + RECORD,
        at_exit="delivery.flush(30); print(Replacement.is_used)",
    )
    assert said == "True\nleft 0\n"


def test_nothing_is_loaded_or_started_by_an_import() -> None:
    """Importing delivery loads no HTTP client and starts no thread."""
    source = (
        "import sys, threading, prefactor_recorder.delivery;"
        "print([n for n in ('aiohttp', 'pydantic', 'prefactor_http') if n in sys.modules],"
        " threading.active_count())"
    )
    said = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    ).stdout
    assert said == "[] 1\n"


@pytest.mark.parametrize(
    "program",
    [STOPPED.format(step=WAITING), WRITTEN + STOPPED.format(step=SCANNING)],
    ids=["waiting", "adopting"],
)
def test_no_delivery_thread_works_during_the_exit(program: str) -> None:
    """A thread stops where it waits or while it reads what dead processes left. No other begins."""
    assert run_alone(program) == "True\n"


def test_a_delivery_of_its_own_is_stopped_at_exit(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that delivers without a recorder, as `prefactor-spool` does, does not crash."""
    many = tmp_path / "many.pem"
    many.write_bytes(self_signed(tmp_path / "one.pem").read_bytes() * 1_500)  # takes a second
    monkeypatch.setenv("SSL_CERT_FILE", str(many))
    assert run_program(silent, "token", body=RECORD, seconds=0.4) == "left 4\n"


def test_an_exit_does_not_wait_until_the_client_is_imported() -> None:
    """The import stops after the module that it is at, and holds no lock that a fork waits for."""
    assert run_alone(IMPORTING) == "True False\nTrue\n"


def run_alone(program: str) -> str:
    """Run a program that needs no server; return its output."""
    command = [sys.executable, "-W", "error", "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return said.stdout + said.stderr
