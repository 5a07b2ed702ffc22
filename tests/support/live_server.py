"""A real server in a separate process, for tests that send it requests.

Tests usually ask for the fixtures in tests/conftest.py: `live_server`, one server that all tests
share, or `serve`, which starts any number of servers that a test can stop, kill and restart.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from patience import patience

TOKEN = "token-of-the-test-suite-that-opens-nothing-else"
PROGRAM = Path(sys.executable).parent / "prefactor-server"
START_LIMIT = 30.0
STOP_LIMIT = 30.0


class ServerDidNotStartError(Exception):
    """The process ended, or stayed silent, before it wrote its ready file."""


@dataclass(frozen=True)
class LiveServer:
    """A server that is ready."""

    url: str
    token: str
    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id, also after the process has ended."""
        return self.process.pid

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with what a client or a recorder needs to get here."""
        return {
            **os.environ,
            "PREFACTOR_API_URL": self.url,
            "PREFACTOR_API_TOKEN": self.token,
            "PREFACTOR_SPOOL_DIR": str(self.directory / "spool"),
        }

    @property
    def output(self) -> str:
        """Everything the server has printed."""
        return (self.directory / "server.log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit status. Stopping twice is harmless."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Send SIGKILL, and wait until the process is gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def start_server(
    directory: Path,
    *arguments: str,
    port: int = 0,
    database: str | None = None,
    program: Path = PROGRAM,
    variables: Mapping[str, str] | None = None,
) -> LiveServer:
    """Start a server whose log and, unless `database` names one, database are in `directory`.

    Returns when it answers. Starting again in the same directory continues with the same database.
    `port` 0 takes a free one; `variables` are set in its environment. Raises
    `ServerDidNotStartError` with everything the server said.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ready = directory / "ready"
    ready.unlink(missing_ok=True)
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [
                program,
                "serve",
                *("--database", database or f"sqlite:///{directory / 'server.db'}"),
                *("--port", str(port)),
                *("--ready-file", ready),
                *arguments,
            ],
            env={**os.environ, "PREFACTOR_BOOTSTRAP_TOKEN": TOKEN, **(variables or {})},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = _wait_until_ready(process, ready)
    except ServerDidNotStartError as error:
        process.kill()
        process.wait()
        said = (directory / "server.log").read_text(encoding="utf-8", errors="replace")
        error.add_note(f"It said:\n{said or '(nothing)'}")
        raise
    return LiveServer(url, TOKEN, directory, process)


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Path) -> str:
    """The address from the ready file, as soon as the file is complete."""
    limit = patience(START_LIMIT)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            return str(json.loads(ready.read_text(encoding="utf-8"))["url"])
        except (FileNotFoundError, json.JSONDecodeError):
            # Missing or half-written.
            status = process.poll()
        if status is not None:
            message = f"the server ended with status {status} before it was ready"
            raise ServerDidNotStartError(message)
        time.sleep(0.02)
    raise ServerDidNotStartError(f"the server was not ready within {limit:.0f} seconds")
