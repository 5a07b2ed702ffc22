"""Records are delivered once, through kills, outages, forks and other processes.

Real processes record to real servers through the installed recorder, and write each acknowledged
call to a ledger. Then the server's data is compared with it.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from checkout import ROOT
from live_server import LiveServer
from patience import patience
from prefactor_http import AgentSpan, HttpClientConfig, PrefactorHttpClient
from prefactor_recorder import Recorder

PROGRAM = ROOT / "tests" / "support" / "recording_program.py"
SPOOL = Path(sys.executable).with_name("prefactor-spool")
ROUNDS = int(os.environ.get("PREFACTOR_KILL_ROUNDS", "12"))
LIMIT = 60.0


@dataclass
class Ledger:
    """A program's notes by run: the numbers of the spans that it began and ended."""

    runs: set[str] = field(default_factory=set)
    begun: dict[str, dict[str, int]] = field(default_factory=dict)
    ended: dict[str, dict[str, int]] = field(default_factory=dict)


def read_ledger(path: Path) -> Ledger:
    """Return the ledger as far as it was written."""
    ledger = Ledger()
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        what, run_id, *rest = line.split(" ")
        ledger.runs.add(run_id)
        if rest:
            book = ledger.begun if what == "begun" else ledger.ended
            book.setdefault(run_id, {})[rest[0]] = int(rest[1])
    return ledger


def environment(server: LiveServer, spool: Path) -> dict[str, str]:
    """The environment of a program that records to a server."""
    return {**server.environment, "PREFACTOR_SPOOL_DIR": str(spool)}


def start(
    server: LiveServer,
    spool: Path,
    ledger: Path,
    *arguments: str,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[str]:
    """Start the program."""
    with (ledger.parent / "stderr.txt").open("a") as errors:
        return subprocess.Popen(
            [sys.executable, "-W", "error", str(PROGRAM), str(ledger), *arguments],
            env=environment(server, spool),
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            text=True,
        )


def flush(server: LiveServer, spool: Path) -> None:
    """Deliver everything left, from this process."""
    with Recorder(server.url, server.token, spool_dir=spool) as recorder:
        assert recorder.flush(patience(LIMIT)) == 0, recorder.stats()


def held(server: LiveServer, run_id: str) -> list[AgentSpan]:
    """Return every span of a run on the server."""

    async def ask() -> list[AgentSpan]:
        async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
            return [span async for span in client.agent_spans.iterate(agent_instance_id=run_id)]

    return asyncio.run(ask())


def compare(server: LiveServer, ledger: Ledger) -> None:
    """Check that the server holds exactly what the ledger says, once each."""
    for run_id in ledger.runs:
        spans = held(server, run_id)
        assert [span for span, count in Counter(s.id for s in spans).items() if count > 1] == []
        by_id = {span.id: span for span in spans}
        begun, ended = ledger.begun.get(run_id, {}), ledger.ended.get(run_id, {})
        assert set(ended) <= set(by_id), "a span that had ended is missing"
        assert set(begun) <= set(by_id), "a span that had begun is missing"
        # The program may die between recording a span and writing it to the ledger: at most one
        # span.
        assert len(set(by_id) - set(begun)) <= 1
        for span_id, number in ended.items():
            span = by_id[span_id]
            assert span.status == "complete"
            assert span.payload["number"] == number
            assert span.result_payload == {"response": "something to answer " * (number % 40)}


def wait_for_lines(path: Path, count: int) -> None:
    """Wait until a ledger has a number of lines."""
    deadline = time.monotonic() + patience(LIMIT)
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, "the program records nothing"
        time.sleep(0.005)


def test_a_process_killed_at_any_moment_loses_nothing(
    live_server: LiveServer, tmp_path: Path
) -> None:
    """However often a process dies by SIGKILL, every span whose call returned arrives once."""
    chance = random.Random(26)
    spool = tmp_path / "spool"
    ledgers = [tmp_path / f"ledger-{number}" for number in range(ROUNDS)]
    for ledger in ledgers:
        process = start(live_server, spool, ledger)
        wait_for_lines(ledger, 1)
        # Early ones die before the client is loaded, late ones in the middle of deliveries.
        time.sleep(chance.choice([0.0, 0.02, 0.3, 0.8]) * chance.random())
        process.kill()
        assert process.wait(LIMIT) == -signal.SIGKILL

    flush(live_server, spool)

    assert sum(len(read_ledger(ledger).ended) for ledger in ledgers) > 0
    for ledger in ledgers:
        compare(live_server, read_ledger(ledger))
    assert not [*spool.rglob("*.seg")]


def test_a_killed_server_gets_everything_after_its_restart(
    serve: Callable[..., LiveServer], port: int, tmp_path: Path
) -> None:
    """A host that records while its server is killed notices nothing and loses nothing."""
    server = serve(tmp_path / "server", port=port)
    ledger, spool = tmp_path / "ledger", tmp_path / "spool"
    with start(server, spool, ledger, "400", "steps", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for number in range(400):
            print(file=process.stdin, flush=True)
            if number % 100 == 50:
                server.kill()
            if number % 100 == 90:
                server = serve(tmp_path / "server", port=port)
            time.sleep(0.002)
        process.stdin.close()
        assert process.wait(LIMIT) == 0
    assert (tmp_path / "stderr.txt").read_text().count("Traceback") == 0

    flush(server, spool)

    written = read_ledger(ledger)
    assert sum(map(len, written.ended.values())) == 400
    compare(server, written)
    (run_id,) = written.runs
    assert asyncio.run(status_of(server, run_id)) == "complete"


def test_hosts_adopters_and_the_server_may_be_killed(
    serve: Callable[..., LiveServer], port: int, tmp_path: Path
) -> None:
    """Hosts, the server and adopting processes are killed, and everything arrives."""
    chance = random.Random(5)
    server = serve(tmp_path / "server", port=port)
    spool = tmp_path / "spool"
    ledgers: list[Path] = []
    for number in range(max(ROUNDS // 4, 1)):
        mine = [tmp_path / f"ledger-{number}-{host}" for host in range(3)]
        hosts = [start(server, spool, ledger) for ledger in mine]
        for ledger in mine:
            wait_for_lines(ledger, 20)
        time.sleep(chance.random())
        for process in hosts:
            process.kill()
        server.kill()
        for process in hosts:
            process.wait(LIMIT)
        server = serve(tmp_path / "server", port=port)
        successors = [
            subprocess.Popen(
                [SPOOL, "flush"],
                env=environment(server, spool),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(5)
        ]
        time.sleep(1.5 * chance.random())
        for process in successors[1:]:
            process.kill()
        for process in successors:
            process.wait(LIMIT + 60)
        ledgers += mine

    flush(server, spool)

    for ledger in ledgers:
        compare(server, read_ledger(ledger))
    assert not [*spool.rglob("*.seg")]


async def status_of(server: LiveServer, run_id: str) -> str:
    """The status of a run."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        return (await client.agent_instances.get(run_id)).status


def test_processes_share_a_spool_directory(live_server: LiveServer, tmp_path: Path) -> None:
    """Processes that record and die in one directory do not affect each other."""
    spool = tmp_path / "spool"
    ledgers = [tmp_path / f"ledger-{number}" for number in range(4)]
    processes = [
        start(live_server, spool, ledger, *(() if number % 2 else ("150",)))
        for number, ledger in enumerate(ledgers)
    ]
    for number, process in enumerate(processes):
        if number % 2:
            wait_for_lines(ledgers[number], 50)
            process.kill()
        process.wait(LIMIT)

    flush(live_server, spool)

    for ledger in ledgers:
        compare(live_server, read_ledger(ledger))


def test_a_fork_in_the_middle_splits_cleanly(live_server: LiveServer, tmp_path: Path) -> None:
    """Parent and child each continue to record their own spans, once."""
    ledger, spool = tmp_path / "ledger", tmp_path / "spool"
    process = start(live_server, spool, ledger, "60", "fork")
    assert process.wait(LIMIT) == 0

    flush(live_server, spool)

    written = read_ledger(ledger)
    assert sorted(len(spans) for spans in written.ended.values()) == [60, 120]
    for run_id in written.runs:
        assert len(held(live_server, run_id)) == len(written.ended[run_id])
        assert asyncio.run(status_of(live_server, run_id)) == "complete"


def test_an_overlong_name_is_shortened(live_server: LiveServer, tmp_path: Path) -> None:
    """Spans with overlong names arrive with shorter ones, and others are unaffected."""
    spool = tmp_path / "spool"
    with Recorder(live_server.url, live_server.token, spool_dir=spool) as recorder:
        with recorder.run(agent_id="long-names", version="1.0.0") as run:
            for number in range(60):
                too_long = number % 20 == 10
                with run.span("x" * 5000 if too_long else "agent:step", {"number": number}):
                    pass
        assert recorder.flush(patience(LIMIT)) == 0, recorder.stats()
        stats = recorder.stats()
    spans = held(live_server, run.id)
    assert sorted(span.payload["number"] for span in spans) == list(range(60))
    cut = {span.payload["number"] for span in spans if span.schema_name != "agent:step"}
    assert cut == {10, 30, 50}
    assert asyncio.run(status_of(live_server, run.id)) == "complete"
    assert stats.corrected >= 3
    assert stats.dead_lettered == 0
    assert list(spool.rglob("*.dead")) == []


def test_a_terminated_run_stops_its_host(live_server: LiveServer, tmp_path: Path) -> None:
    """After a termination on the server, the host's next span raises, with the reason."""
    recorder = Recorder(live_server.url, live_server.token, spool_dir=tmp_path)

    async def terminate(run_id: str) -> None:
        config = HttpClientConfig(live_server.url, live_server.token)
        async with PrefactorHttpClient(config) as client:
            await client.agent_instances.terminate(run_id, "it repeats itself")

    def host() -> None:
        with recorder.run(agent_id="terminated", version="1.0.0") as run:
            assert recorder.flush(patience(LIMIT)) == 0
            asyncio.run(terminate(run.id))
            for _ in range(1000):
                with run.span("agent:step"):
                    pass
                recorder.flush(patience(LIMIT))

    with recorder, pytest.raises(Exception, match="it repeats itself") as caught:
        host()
    assert type(caught.value).__name__ == "RunTerminated"


FORGETFUL = """
from prefactor_recorder import Recorder

def work():
    recorder = Recorder()
    with recorder.run(agent_id="forgotten") as run, run.span("agent:step"):
        pass
    print(run.id)

work()
"""


def test_a_local_recorder_delivers_at_exit(live_server: LiveServer, tmp_path: Path) -> None:
    """The records of a recorder that was created inside a function are delivered at exit."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORGETFUL],
        env={**environment(live_server, tmp_path), "PREFACTOR_EXIT_TIMEOUT": "20"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    (span,) = held(live_server, ended.stdout.strip())
    assert span.status == "complete"
    assert not [*tmp_path.rglob("*.seg")]
