"""No process or database outlives its test, however the test or pytest ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from checkout import ROOT
from patience import patience

SUITE = """
import os, subprocess, sys, time
from pathlib import Path
from postgres_server import start_postgres

CHILD = "import subprocess, sys; subprocess.Popen(['sleep', '3600']); sys.stdin.read()"

def test_that_leaves_processes():
    Path("folder").write_text(str(start_postgres().directory))
    subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE)
    subprocess.Popen(["sleep", "3600"])
    Path("begun").touch()
    {then}

"""
SETTINGS = f"""
[pytest]
pythonpath = {ROOT / "tests" / "support"}
addopts = -p no:cacheprovider -n0
"""


@pytest.fixture
def suite(tmp_path: Path) -> Callable[[str], subprocess.Popen[bytes]]:
    """Start pytest on a suite whose first test leaves a database and three processes behind."""

    def start(then: str, *arguments: str) -> subprocess.Popen[bytes]:
        (tmp_path / "conftest.py").write_text('pytest_plugins = ["children"]\n')
        (tmp_path / "test_suite.py").write_text(SUITE.format(then=then))
        (tmp_path / "pytest.ini").write_text(SETTINGS)
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *arguments],
            cwd=tmp_path,
            env=os.environ | {"MARK_OF_THE_SUITE": str(tmp_path)},
            stdout=subprocess.DEVNULL,
        )

    return start


def left(folder: Path) -> list[str]:
    """The processes that were started below a suite, by the mark in their environment."""
    mark = f"MARK_OF_THE_SUITE={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended, or belongs to another user
            continue
    return found


def soon_nothing_is_left(folder: Path) -> bool:
    """Whether every process of a suite ends, and its database is removed."""
    database = Path((folder / "folder").read_text(encoding="utf-8"))
    deadline = time.monotonic() + patience(15)
    while time.monotonic() < deadline:
        if not left(folder) and not database.exists():
            return True
        time.sleep(0.05)
    return False


def begun(folder: Path) -> None:
    """Wait until the first test of a suite has started everything."""
    deadline = time.monotonic() + patience(60)
    while not (folder / "begun").exists():
        assert time.monotonic() < deadline, "the suite did not begin"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "then", ["pass", "assert False", "time.sleep(3600)"], ids=["passed", "failed", "timed out"]
)
def test_a_tests_processes_end_with_it(
    suite: Callable[..., subprocess.Popen[bytes]], then: str, tmp_path: Path
) -> None:
    """After a test's pass, failure or timeout, its processes and databases are gone."""
    # The test that is timed out must have started everything.
    pytest_process = suite(then, f"--timeout={patience(10)}")

    assert pytest_process.wait(120) == (0 if then == "pass" else 1)
    assert soon_nothing_is_left(tmp_path), left(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_pytests_processes_end_with_it(
    suite: Callable[..., subprocess.Popen[bytes]], how: signal.Signals, tmp_path: Path
) -> None:
    """If pytest is killed in the middle of a test, everything that it started ends too."""
    pytest_process = suite("time.sleep(3600)")
    begun(tmp_path)

    assert len(left(tmp_path)) > 4
    # Python drops an interrupt inside a destructor, so press Ctrl-C again, as a person would.
    for _ in range(4):
        os.kill(pytest_process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            pytest_process.wait(15)
            break
    assert pytest_process.poll() is not None
    assert soon_nothing_is_left(tmp_path), left(tmp_path)


def test_the_limits_of_tests_follow_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """The busier the machine, the longer the timeouts of tests."""
    cores = os.cpu_count() or 1
    limits = []
    for load in (0.0, 1.0, 4.0):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load * cores, 0.0, 0.0))
        limits.append(patience(10))

    assert limits == [20.0, 20.0, 80.0]
