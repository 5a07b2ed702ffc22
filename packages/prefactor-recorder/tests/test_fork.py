"""A fork at the worst moment: while another thread imports the recorder's modules."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, threading, time
from prefactor_recorder import Recorder

recorder = Recorder("http://127.0.0.1:9", "token", spool_dir=sys.argv[1], exit_timeout=0)

def first():
    with recorder.run(agent_id="parent"):
        pass

thread = threading.Thread(target=first)
thread.start()
time.sleep(float(sys.argv[2]))
child = os.fork()
if child == 0:
    with recorder.run(agent_id="child") as run, run.span("agent:step"):
        pass
    os._exit(recorder.stats().undelivered)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
thread.join()
print(status, recorder.stats().undelivered, flush=True)
os._exit(0)
"""
DURING_THE_FORK = """
import faulthandler, os, sys, time
from prefactor_recorder import Recorder

recorder = Recorder("http://127.0.0.1:9", "token", spool_dir=sys.argv[1], exit_timeout=0)

def record():
    with recorder.run(agent_id="parent"):
        pass
    while "prefactor_http" not in sys.modules:
        time.sleep(0.001)

os.register_at_fork(before=record)
child = os.fork()
if child == 0:
    faulthandler.dump_traceback_later(20, exit=True)
    from prefactor_http import PrefactorHttpClient
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)
"""


def printed(program: str, *arguments: object) -> str:
    """Run a program to its end, which must be a success, and return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.005, 0.01, 0.02])
def test_a_child_forked_during_the_first_run_records(tmp_path: Path, delay: float) -> None:
    """The child neither deadlocks on an import lock nor records for its parent."""
    assert printed(PROGRAM, tmp_path, delay) == "5 3\n"


def test_a_first_import_waits_for_a_fork_that_has_begun(tmp_path: Path) -> None:
    """A fork during which another hook records does not leave half a client to its child."""
    assert printed(DURING_THE_FORK, tmp_path) == "0\n"
