"""Records that the server rejected are kept, shown, and delivered once the cause is gone."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from live_server import LiveServer
from prefactor_http import HttpClientConfig, PrefactorHttpClient
from prefactor_recorder import Recorder
from prefactor_recorder.cli.main import main
from prefactor_recorder.encoding.record import FRAME_SIZE, Operation, decode
from prefactor_recorder.journal.spool.dead_letters import read_dead_letters
from prefactor_recorder.journal.spool.frames import scan
from prefactor_recorder.journal.spool.paths import account_directory

LIMIT = 60.0
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def recorder(live_server: LiveServer, tmp_path: Path) -> Iterator[Recorder]:
    """A recorder with a separate spool."""
    with Recorder(
        live_server.url, live_server.token, agent_id="letters", spool_dir=tmp_path
    ) as made:
        yield made


@pytest.fixture
async def client(live_server: LiveServer) -> AsyncIterator[PrefactorHttpClient]:
    """Asks the server for its data."""
    async with PrefactorHttpClient(HttpClientConfig(live_server.url, live_server.token)) as opened:
        yield opened


@pytest.fixture
def command(
    live_server: LiveServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run a `prefactor-spool` command on this test's spool; return its status and output."""
    monkeypatch.setenv("PREFACTOR_SPOOL_DIR", str(tmp_path))
    monkeypatch.setenv("PREFACTOR_API_URL", live_server.url)
    monkeypatch.setenv("PREFACTOR_API_TOKEN", live_server.token)

    def command(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main(arguments)
        return status, capsys.readouterr().out

    return command


def letters(spool: Path) -> list[dict[str, Any]]:
    """The records of all dead letters."""
    found = [letter for path in sorted(spool.rglob("*.dead")) for letter in read_dead_letters(path)]
    return [letter.content["record"] for letter in found]


def record_run(recorder: Recorder, spans: int, **arguments: Any) -> str:
    """Record a run whose second half of spans is nested; its id."""
    with recorder.run(**arguments) as run:
        for number in range(spans):
            with run.span("x:y", {"n": number}) as span:
                span.set_result({"n": number, "wei": 2**70})
    return run.id


async def test_runs_of_an_unknown_environment_can_be_retried(
    recorder: Recorder,
    client: PrefactorHttpClient,
    command: Command,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Runs of an unknown environment are dead-lettered and logged, and `retry` delivers them."""
    with caplog.at_level(logging.WARNING):
        run_id = record_run(recorder, 3, environment_id="no-such-environment")
        assert await recorder.aflush(LIMIT) == 0
    assert recorder.stats().dead_lettered == 9
    assert "environment_id='no-such-environment'" in caplog.text
    assert f"run {run_id} (agent_id='letters'" in caplog.text
    assert "prefactor-spool retry" in caplog.text
    (environment, *_) = [one async for one in client.environments.iterate()]

    status, said = command("retry", "--all", "--environment-id", environment.id)
    assert (status, said[:40]) == (0, "9 dead letters queued again, 0 left; the")
    assert letters(tmp_path) == []
    # The process whose records were refused is alive, and queues them again itself.
    assert await recorder.aflush(LIMIT) == 0
    run = await client.agent_instances.get(run_id)
    spans = [row async for row in client.agent_spans.iterate(agent_instance_id=run_id)]
    assert (run.status, run.environment_id) == ("complete", environment.id)
    assert sorted(span.payload["n"] for span in spans) == [0, 1, 2]
    assert {span.status for span in spans} == {"complete"}
    assert (recorder.stats().dead_lettered, command("retry", "--all")[0]) == (9, 0)


async def test_a_retry_that_is_too_early_loses_nothing(
    recorder: Recorder, client: PrefactorHttpClient, command: Command, tmp_path: Path
) -> None:
    """While the cause remains, `retry` produces the same dead letters again."""
    record_run(recorder, 2, environment_id="no-such-environment")
    assert await recorder.aflush(LIMIT) == 0
    before = letters(tmp_path)
    command("retry", "--all")
    assert await recorder.aflush(LIMIT) == 0
    assert letters(tmp_path) == before
    assert len(before) == 7


async def test_single_runs_and_spans_can_be_retried(
    recorder: Recorder, client: PrefactorHttpClient, command: Command, tmp_path: Path
) -> None:
    """A named run is queued again alone, and a named span with its parents."""
    runs = [record_run(recorder, 2, environment_id="no-such-environment") for _ in range(3)]
    assert await recorder.aflush(LIMIT) == 0
    (environment, *_) = [one async for one in client.environments.iterate()]
    to = ("--environment-id", environment.id)
    assert "7 dead letters queued again, 14 left" in command("retry", runs[0], *to)[1]
    listed = json.loads(command("list", "--json")[1])
    found = [one for each in listed["accounts"][0]["processes"] for one in each["letters"]]
    ends = [
        one["letter"]
        for one in found
        if one["record"]["run_id"] == runs[1] and one["record"]["operation"] == "agent_spans/finish"
    ]
    status, said = command("retry", ends[0], *to, "--json")

    assert (status, json.loads(said)["left"]) == (0, 10)
    assert [one["record"]["operation"] for one in json.loads(said)["retried"]] == [
        "agent_instances/register",
        "agent_instances/start",
        "agent_spans/create",
        "agent_spans/finish",
    ]
    assert await recorder.aflush(LIMIT) == 0
    states = [(await client.agent_instances.get(run)).span_counts.complete for run in runs[:2]]
    assert states == [2, 1]
    assert {record["run_id"] for record in letters(tmp_path)} == set(runs[1:])
    assert command("retry", "ffffffffffff")[0] == 1
    assert command("retry")[0] == 1


async def test_a_dead_letter_is_shown_whole(recorder: Recorder, command: Command) -> None:
    """`show` prints the refusal and the whole record, redacted as it was recorded."""
    record_run(recorder, 1, environment_id="no-such\x1b[2Jenvironment")
    assert await recorder.aflush(LIMIT) == 0
    (account,) = json.loads(command("list", "--json")[1])["accounts"]
    found = {one["record"]["operation"]: one for one in account["processes"][0]["letters"]}
    register = command("show", found["agent_instances/register"]["letter"])[1]
    finish = command("show", found["agent_spans/finish"]["letter"][:8])[1]

    assert "refusal:   not_found: Environment" in register
    assert '"agent_id": "letters"' in register
    assert "\x1b" not in register
    assert '"timestamp": "2' in finish
    assert "run was rejected" in finish
    shown = json.loads(command("show", found["agent_spans/create"]["letter"], "--json")[1])
    assert shown["record"] == found["agent_spans/create"]["record"]
    assert command("show", "nothing")[0] == 1


def damage(spool: Path, *operations: Operation) -> None:
    """Flip a bit of the first record of each of these operations in the spool."""
    for path in spool.rglob("*.seg"):
        content = bytearray(path.read_bytes())
        hit: set[Operation] = set()
        for start, end in scan(bytes(content), last=True).frames:
            record = decode(bytes(content[start + FRAME_SIZE : end]))
            if record and record.operation in operations and record.operation not in hit:
                hit.add(record.operation)
                content[end - 1] ^= 1
        path.write_bytes(content)


def left_by_a_dead_process(server: LiveServer, spool: Path) -> str:
    """Record a run that is undelivered when its process dies; return its id."""
    nowhere = Recorder(
        "http://127.0.0.1:9", server.token, agent_id="damaged", spool_dir=spool, exit_timeout=0
    )
    run_id = record_run(nowhere, 2, version="1.2.3", external_identifier=spool.name)
    nowhere.close()
    there = account_directory(spool, server.url, server.token)
    there.parent.mkdir(parents=True)
    account_directory(spool, "http://127.0.0.1:9", server.token).rename(there)
    return run_id


async def test_a_run_survives_a_damaged_registration(
    live_server: LiveServer, client: PrefactorHttpClient, command: Command, tmp_path: Path
) -> None:
    """A run with a damaged registration is registered again from its start, and arrives."""
    run_id = left_by_a_dead_process(live_server, tmp_path)
    damage(tmp_path, Operation.REGISTER)
    assert await asyncio.to_thread(command, "flush") == (
        0,
        "6 delivered, 0 dead-lettered, 0 left\n",
    )
    run = await client.agent_instances.get(run_id)
    assert (run.status, run.span_counts.complete) == ("complete", 2)
    assert run.external_identifier == tmp_path.name


async def test_damage_that_hides_the_agent_costs_no_record(
    live_server: LiveServer, client: PrefactorHttpClient, command: Command, tmp_path: Path
) -> None:
    """Runs without a known agent are dead-lettered, and delivered with `--agent-id`."""
    run_id = left_by_a_dead_process(live_server, tmp_path)
    damage(tmp_path, Operation.REGISTER, Operation.START)
    assert await asyncio.to_thread(command, "flush") == (
        0,
        "0 delivered, 5 dead-lettered, 0 left\n",
    )
    assert "its run was rejected" in command("list")[1]
    assert "5 dead letters queued again" in command("retry", "--all", "--agent-id", "damaged")[1]
    assert await asyncio.to_thread(command, "flush") == (
        0,
        "7 delivered, 0 dead-lettered, 0 left\n",
    )
    run = await client.agent_instances.get(run_id)
    assert (run.status, run.span_counts.complete) == ("complete", 2)
