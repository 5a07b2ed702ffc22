"""Processes that tests start end with them, however the test or pytest itself ends.

Loaded as a plugin by the conftest.py at the root, it makes `subprocess.Popen` put each process at
the head of a process group, which includes its children. The remaining groups of a test are killed
after the test, those of a session after the session. If pytest is killed, the guard does it: a
small process in its own session that reads the process groups from a pipe, and acts when the pipe
ends. It works where PR_SET_PDEATHSIG does not: on macOS, for processes that change their user, and
for those started by a thread that ends.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from patience import patience

_Popen = subprocess.Popen
GUARD = Path(__file__).with_name("guard.py")
# Shorter limits are waits that a test expects to time out.
SHORTEST_SCALED = 5.0


class Guard:
    """Tells a separate process what to end if this one is killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def tell(self, what: str, name: object) -> None:
        """Add (`+kill`, `+quit`, `+folder`) or forget (`-`) a process group or a folder."""
        if self._pid != os.getpid():  # not made yet, or inherited by a fork
            self._pid = os.getpid()
            self._process = _Popen(
                [sys.executable, "-I", "-S", GUARD],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what} {name}\n".encode())
        self._process.stdin.flush()

    def end(self) -> None:
        """Let it end everything that is left, and wait for that."""
        if self._process is not None and self._pid == os.getpid():
            self._process.communicate()
            self._process = None
            self._pid = 0


guard = Guard()
_test: list[subprocess.Popen[Any]] = []
_session: list[subprocess.Popen[Any]] = []
_outlasting = 0


class Child(subprocess.Popen[Any]):
    """A process that leads a group which the guard knows; its limits follow the machine's load."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if not options.get("start_new_session") and options.get("process_group") is None:
            options["process_group"] = 0
        super().__init__(*arguments, **options)
        (_session if _outlasting else _test).append(self)
        guard.tell("+kill", self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """Wait, with a limit that follows the load."""
        return super().wait(_scaled(timeout))

    def communicate(self, input: Any = None, timeout: float | None = None) -> Any:
        """Communicate, with a limit that follows the load."""
        return super().communicate(input, _scaled(timeout))


def _scaled(timeout: float | None) -> float | None:
    return timeout if timeout is None or timeout < SHORTEST_SCALED else patience(timeout)


@contextmanager
def outlasting_the_test() -> Iterator[None]:
    """Let processes started in this block live until the session ends."""
    global _outlasting  # noqa: PLW0603 - processes belong to the session or to the test it runs
    _outlasting += 1
    try:
        yield
    finally:
        _outlasting -= 1


def end(children: list[subprocess.Popen[Any]]) -> None:
    """Kill the remaining processes of each child's group."""
    while children:
        child = children.pop()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        guard.tell("-", child.pid)


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach children, and know of each where tests run: in a worker, or in no worker."""
    # A command that a script starts in the background ignores Ctrl-C, and so would whatever it
    # starts, such as a program whose Ctrl-C is tested.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        subprocess.Popen = Child  # type: ignore[misc]


def pytest_unconfigure() -> None:
    """End the remaining processes of the session."""
    subprocess.Popen = _Popen  # type: ignore[misc]
    end(_test)
    end(_session)
    guard.end()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Let the processes of fixtures that several tests share outlast the test."""
    if fixturedef.scope == "function":
        return (yield)
    with outlasting_the_test():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Adapt a test's timeout to the load, and end what it leaves behind."""
    mark = item.get_closest_marker("timeout")
    limit = float(mark.args[0] if mark else item.config.getini("timeout") or 0)
    if limit and item.config.getoption("timeout") is None:
        item.add_marker(pytest.mark.timeout(patience(limit)), append=False)
    try:
        return (yield)
    finally:
        end(_test)
