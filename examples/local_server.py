"""A prefactor-server in a process of its own, for as long as a `with` block lasts.

    with local_server("sqlite:///runs.db", token=token, folder=folder) as server:
        config = HttpClientConfig(server.url, token)

The server is told to stop when the block ends, however it ends, and what it answered is on disk by
then. A server that cannot start says why in the `ServerError` that is raised.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 30.0
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class ServerError(Exception):
    """The server did not start or did not stop as it should; the message holds what it said."""


@dataclass(frozen=True)
class LocalServer:
    """A server that answers at `url`."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def local_server(
    database: str,
    *,
    token: str,
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    show: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Iterator[LocalServer]:
    """Run a server on a database; the token works when the database is a new one.

    Args:
        database: `sqlite:///` and the path of a file.
        token: The account token of a new database, at least 16 characters.
        folder: An existing folder for the file that says that the server is ready, and for its log.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        show: Let the server write to this terminal instead of to `server.log` in the folder.
        settings: Other settings of the server, as the variables that set them.

    Raises:
        ServerError: It did not become ready, or did not exit with status 0.
    """
    ready, log = folder / "ready", folder / "server.log"
    ready.unlink(missing_ok=True)
    command = [
        str(Path(sys.executable).with_name("prefactor-server")),
        "serve",
        *("--database", database),
        *("--host", host),
        *("--port", str(port)),
        *("--ready-file", str(ready)),
    ]
    variables = {**(settings or {}), "PREFACTOR_BOOTSTRAP_TOKEN": token}
    with (
        log.open("wb") as output,
        running(command, variables, output=None if show else output.fileno()) as process,
    ):
        yield LocalServer(_url_when_ready(process, ready, log), process)
    if process.returncode != 0:
        raise ServerError(f"The server ended with status {process.returncode}.{_said(log)}")


@contextmanager
def running(
    command: list[str], variables: Mapping[str, str], *, output: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that sees no PREFACTOR_* variables but the given ones, until the block ends.

    Whatever this shell exports for another server must reach neither this one nor its clients.
    `output` is a file descriptor for everything that the program prints.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFACTOR_")}
    # A signal between the birth of the process and the `try` that ends it would leave it behind, so
    # signals wait for that moment. The child is born with them blocked and unblocks them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process = subprocess.Popen(
            command,
            env={**inherited, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),  # noqa: PLW1509 - safe without threads
        )
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            yield process
        finally:
            stop(process)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process politely if it still runs, and see to it that it is gone."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except BaseException as error:
        # Out of patience, its or ours: it is not left behind in either case.
        process.kill()
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise


def _url_when_ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        # The server writes the file as a whole, once it answers.
        if ready.exists():
            return str(json.loads(ready.read_text(encoding="utf-8"))["url"])
        if process.poll() is not None:
            raise ServerError(
                f"The server did not start (status {process.returncode}).{_said(log)}"
            )
        time.sleep(0.02)
    raise ServerError(f"The server was not ready within {START_SECONDS:.0f} seconds.{_said(log)}")


def _said(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return f" It said:\n{text}" if text else ""
