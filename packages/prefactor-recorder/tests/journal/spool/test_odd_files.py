"""Files of other kinds under the names of a spool's files block nothing."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prefactor_http.testing import ScriptedServer
from prefactor_recorder.cli.main import main
from prefactor_recorder.journal.spool import SpoolJournal
from prefactor_recorder.journal.spool.paths import account_directory
from recorded import RecordedRun

Open = Callable[..., SpoolJournal]
Make = Callable[[Path], object]


def a_socket(path: Path) -> None:
    """Leave a socket of a process that is gone."""
    here = Path.cwd()
    os.chdir(path.parent)  # its path must be at most about 100 characters long
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(path.name)
    finally:
        os.chdir(here)


KINDS: dict[str, Make] = {
    "fifo": os.mkfifo,
    "directory": Path.mkdir,
    "socket": a_socket,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "unreadable": lambda path: path.touch(0o000),
}
NAMES = ["1-aa-1.seg", "1-aa-1.ack", "1-aa.lock", "1-aa.dead", "2-bb-1.seg", "identity.json"]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that behaves like the API."""
    with ScriptedServer() as running:
        yield running


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    spool: Path,
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a `prefactor-spool` command in process; return its status and output."""
    monkeypatch.setenv("PREFACTOR_SPOOL_DIR", str(spool))
    monkeypatch.setenv("PREFACTOR_API_URL", server.url)
    monkeypatch.setenv("PREFACTOR_API_TOKEN", server.token)

    def run(*arguments: str) -> tuple[int, str]:
        status = main(arguments)
        return status, capsys.readouterr().out

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_odd_files_block_no_command(
    kind: str, run: Run, open_journal: Open, server: ScriptedServer, spool: Path
) -> None:
    """With an odd file under every name, each command ends, and sound records are delivered."""
    journal = open_journal(api_url=server.url, api_token=server.token)
    RecordedRun(journal).begin().span("span-00000001").finish()
    journal.after_fork()
    directory = account_directory(spool, server.url, server.token)
    for name in NAMES:
        (directory / name).unlink(missing_ok=True)
        KINDS[kind](directory / name)
    for arguments in (["list"], ["list", "--json"], ["rm", "--all"]):
        run(*arguments)

    assert run("flush") == (0, "5 delivered, 0 dead-lettered, 0 left\n")
    assert list(server.spans) == ["span-00000001"]
    run("rm", "--all", "--yes")
    if kind != "unreadable":
        assert {path.name for path in directory.iterdir()} >= set(NAMES) - {"identity.json"}
        assert f"{directory / NAMES[0]}: not a regular file" in run("list")[1]


@pytest.mark.parametrize("kind", KINDS)
def test_odd_ack_files_cost_no_record(
    kind: str, run: Run, open_journal: Open, server: ScriptedServer, spool: Path
) -> None:
    """If the acks or dead letters of a process cannot be used, its records are still delivered."""
    journal = open_journal(api_url=server.url, api_token=server.token)
    RecordedRun(journal).begin().span("span-00000001").finish()
    journal.after_fork()
    (segment,) = spool.rglob("*.seg")
    process = segment.stem.rpartition("-")[0]
    KINDS[kind](segment.with_suffix(".ack"))
    KINDS[kind](segment.with_name(f"{process}.dead"))

    assert run("flush")[1].startswith("5 delivered, ")
    assert server.instances["run-00000001"]["status"] == "complete"


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorder_works_beside_odd_files(
    kind: str, open_journal: Open, record: Callable[..., bytes], spool: Path
) -> None:
    """A journal opens, adopts, is maintained and closes without losing anything of its own."""
    first = open_journal()
    first.append(record(1))
    (segment,) = spool.rglob("*.seg")
    for name in NAMES:
        (segment.parent / name).unlink(missing_ok=True)
        KINDS[kind](segment.parent / name)
    second = open_journal()
    second.append(record(2))
    second.adopt()
    second.maintain()
    assert [entry.record.id for entry in second.read(1000)] == ["span-2"]
    second.close()
    assert [entry.record.id for entry in first.read(1000)] == ["span-1"]
