"""`prefactor-spool`, as a person at a terminal uses it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from live_server import start_server
from prefactor_http import HttpClientConfig, PrefactorHttpClient
from prefactor_http.testing import ScriptedServer
from prefactor_recorder.cli import inspect
from prefactor_recorder.cli.main import main
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.journal.spool import SpoolJournal
from recorded import RecordedRun

Open = Callable[..., SpoolJournal]
Make = Callable[..., bytes]
Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]

PROGRAM = Path(sys.executable).parent / "prefactor-spool"


@pytest.fixture
def run(spool: Path) -> Run:
    """Runs a command on the spool of this test."""

    def run(*arguments: str, **environment: str) -> Ran:
        clean = {name: text for name, text in os.environ.items() if "PREFACTOR" not in name}
        return subprocess.run(
            [PROGRAM, *arguments],
            env={**clean, "PREFACTOR_SPOOL_DIR": str(spool), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that behaves like the API."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def left(open_journal: Open, record: Make) -> SpoolJournal:
    """The files of a dead process: three records, one settled and one dead-lettered."""
    journal = open_journal()
    for number in range(3):
        journal.append(record(number))
    journal.learn_account("acc-1")
    entries = journal.read(10_000)
    journal.ack(entries[:1])
    journal.dead_letter(entries[1], {"code": "invalid_action", "message": "no such run"})
    journal.after_fork()
    return journal


def listed(run: Run) -> list[dict[str, Any]]:
    """The processes that `list --json` shows."""
    document = json.loads(run("list", "--json").stdout)
    return [process for account in document["accounts"] for process in account["processes"]]


def test_an_empty_spool_says_so(run: Run, spool: Path) -> None:
    """An empty spool shows nothing, and creates nothing."""
    assert run("list").stdout == f"Nothing waits in {spool}.\n"
    assert not spool.exists()


def test_the_list_shows_processes_and_records(
    run: Run, left: SpoolJournal, open_journal: Open, record: Make
) -> None:
    """For each API and account: live and dead processes, undelivered records, dead letters."""
    alive = open_journal()
    alive.append(record(4))
    shown = run("list")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "https://api.example, account acc-1" in shown.stdout
    assert f"process {os.getpid()} is dead, 1 undelivered in 1 segment, " in shown.stdout
    assert f"process {os.getpid()} is alive, 1 undelivered in 1 segment, " in shown.stdout
    assert "agent_spans/create span-1 of run run: invalid_action: no such run" in shown.stdout


def test_the_list_can_be_json(run: Run, left: SpoolJournal) -> None:
    """`--json` has every figure, and the whole dead letters."""
    document = json.loads(run("list", "--json").stdout)
    (account,) = document["accounts"]
    (process,) = account["processes"]

    assert (account["api_url"], account["account_id"]) == ("https://api.example", "acc-1")
    assert (process["alive"], process["undelivered"], process["pid"]) == (False, 1, os.getpid())
    assert process["bytes"] == sum(Path(path).stat().st_size for path in process["files"])
    assert process["letters"][0]["record"]["body"] == '"payload":""'


def test_the_list_shows_the_last_write(run: Run, open_journal: Open, record: Make) -> None:
    """The time of a process with several segments is that of the newest."""
    journal = open_journal(segment_size=1)
    journal.append(record(1))
    journal.append(record(2))
    journal.after_fork()
    (process,) = listed(run)
    older, newer = process["segments"]
    now = time.time()
    os.utime(older, (now, now - 5 * 86_400))
    os.utime(newer, (now, now - 3 * 3600 - 60))

    assert ", last written 3 hours ago" in run("list").stdout
    assert listed(run)[0]["last_written"] == Path(newer).stat().st_mtime


@pytest.mark.parametrize("before", ["read_identity", "process_of"])
def test_a_directory_that_vanishes_meanwhile_is_not_listed(
    before: str,
    left: SpoolJournal,
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What another command deletes during `list` is neither an error nor an odd file."""
    step = getattr(inspect, before)

    def deleted_meanwhile(path: Path) -> object:
        shutil.rmtree(spool, ignore_errors=True)
        return step(path)

    monkeypatch.setattr(inspect, before, deleted_meanwhile)
    status = main(["list", "--spool-dir", str(spool)])
    shown = capsys.readouterr()
    assert (status, shown.err) == (0, "")
    assert "left alone" not in shown.out


def test_list_changes_nothing(
    run: Run, left: SpoolJournal, open_journal: Open, spool: Path
) -> None:
    """After `list` the files are unchanged, and dead processes' records can be adopted."""
    before = {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()}
    run("list")

    assert {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()} == before
    assert open_journal().adopt() == 1


def test_flush_delivers_for_dead_processes(
    run: Run, open_journal: Open, server: ScriptedServer, spool: Path
) -> None:
    """Everything that a killed process recorded is delivered once, and no file is left."""
    journal = open_journal(api_url=server.url, api_token=server.token)
    recorded = RecordedRun(journal).begin()
    for number in range(20):
        recorded.span(f"span-{number:08}")
    recorded.finish()
    journal.after_fork()
    to = {"PREFACTOR_API_URL": server.url, "PREFACTOR_API_TOKEN": server.token}
    flushed = run("flush", **to)

    assert (flushed.returncode, flushed.stderr) == (0, "")
    assert flushed.stdout == "43 delivered, 0 dead-lettered, 0 left\n"
    assert server.instances[recorded.id]["status"] == "complete"
    assert len(server.spans) == 20
    assert [path.name for path in spool.rglob("*") if path.is_file()] == ["identity.json"]
    assert run("flush", **to).stdout.startswith("0 delivered")
    assert run("list").stdout == f"Nothing waits in {spool}.\n"


def test_flush_needs_an_address_and_a_token(run: Run, left: SpoolJournal) -> None:
    """Without an address or a token, nothing is tried, and the missing variable is named."""
    assert run("flush").stderr == (
        "prefactor-spool: PREFACTOR_API_URL is not set, but needed for delivery\n"
    )
    assert "PREFACTOR_API_TOKEN" in run("flush", PREFACTOR_API_URL="http://127.0.0.1:1").stderr


def test_flush_reports_records_for_another_address(
    run: Run, open_journal: Open, record: Make, server: ScriptedServer
) -> None:
    """Records for another address stay in the spool, and are reported."""
    journal = open_journal(api_url="http://127.0.0.1:9")
    for number in (1, 2):
        journal.append(record(number))
    journal.after_fork()
    flushed = run("flush", PREFACTOR_API_URL=server.url, PREFACTOR_API_TOKEN=server.token)

    assert flushed.returncode == 0
    assert flushed.stdout == "0 delivered, 0 dead-lettered, 0 left\n"
    assert flushed.stderr == (
        "prefactor-spool: other undelivered records (2) are for another address or account: "
        "see `prefactor-spool list`\n"
    )


def test_flush_reports_undelivered_records(run: Run, open_journal: Open, record: Make) -> None:
    """An unreachable server costs the timeout; what is left is counted and kept."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and nothing listens
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        journal = open_journal(api_url=url)
        journal.append(record(1))
        journal.after_fork()
        to = {"PREFACTOR_API_URL": url, "PREFACTOR_API_TOKEN": "token"}
        flushed = run("flush", "--timeout", "0.2", **to)

    assert flushed.returncode == 1
    assert flushed.stdout == "0 delivered, 0 dead-lettered, 1 left\n"
    assert [process["undelivered"] for process in listed(run)] == [1]


async def test_flush_delivers_for_an_older_token(
    run: Run, open_journal: Open, tmp_path: Path
) -> None:
    """A new token of the same account delivers what was recorded with the old one."""
    (tmp_path / "server").mkdir()
    server = start_server(tmp_path / "server")
    try:
        async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
            (account,) = await client.accounts.list()
        journal = open_journal(api_url=server.url, api_token="rotated away")
        RecordedRun(journal).begin().finish()
        journal.learn_account(account.id)
        journal.after_fork()
        to = {"PREFACTOR_API_URL": server.url, "PREFACTOR_API_TOKEN": server.token}
        flushed = run("flush", **to)
    finally:
        server.stop()

    assert flushed.stdout.endswith(" 0 left\n")
    assert not flushed.stdout.startswith("0 delivered, 0 dead-lettered")


def test_rm_asks_first(run: Run, left: SpoolJournal, spool: Path) -> None:
    """Without `--yes` it only shows what would be deleted."""
    before = sorted(spool.rglob("*"))
    asked = run("rm", "--all")

    assert asked.returncode == 1
    assert "4 files, 1 undelivered, 1 dead letter would be deleted; give --yes" in asked.stdout
    assert sorted(spool.rglob("*")) == before


def test_rm_keeps_undelivered_records(run: Run, left: SpoolJournal, open_journal: Open) -> None:
    """Dead letters are deleted by name; undelivered records stay unless all are requested."""
    assert run("rm", "--yes").stdout == ""
    assert "1 file, 1 dead letter deleted" in run("rm", "--dead-letters", "--yes").stdout
    (process,) = listed(run)
    assert (process["undelivered"], process["letters"]) == (1, [])

    removed = run("rm", "--all", "--yes")
    assert (removed.returncode, listed(run)) == (0, [])
    assert open_journal().adopt() == 0


def test_rm_keeps_files_of_live_processes(
    run: Run, open_journal: Open, record: Make, spool: Path
) -> None:
    """Files of a live process are never deleted."""
    journal = open_journal()
    journal.append(record(1, operation=Operation.START))
    refused = run("rm", "--all", "--yes")

    assert refused.returncode == 1
    assert "left alone" in refused.stdout
    assert len(journal.read(1000)) == 1
    assert len(list(spool.rglob("*.seg"))) == 1


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from prefactor_recorder.cli.__main__ import main
sys.exit(main())
"""


def test_an_interrupted_flush_prints_no_traceback(spool: Path) -> None:
    """Ctrl-C while the server does not answer ends the command with 130."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {
            "PREFACTOR_API_URL": url,
            "PREFACTOR_API_TOKEN": "t",
            "PREFACTOR_SPOOL_DIR": str(spool),
        }
        command = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, "flush"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with command, silent.accept()[0]:
            command.send_signal(signal.SIGINT)
            said = command.communicate()[0]
    assert (command.returncode, said) == (130, "")
