"""Retention by real servers: killed while they delete, with replicas, and by command line."""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from live_server import LiveServer
from patience import patience
from prefactor_cli.main import run
from prefactor_http import (
    BulkItem,
    BulkRequest,
    HttpClientConfig,
    PrefactorHttpClient,
    PrefactorNotFoundError,
)

RUNS = 320
SPANS = 2
LONG = 9000
LONG_AGO = "2020-01-01T00:00:00Z"
OFTEN = ("--retention-interval-seconds", "1")


def client_of(server: LiveServer) -> PrefactorHttpClient:
    """A client of a server."""
    return PrefactorHttpClient(HttpClientConfig(server.url, server.token))


async def record_old_runs(client: PrefactorHttpClient) -> None:
    """Record runs with spans that ended long ago, and an active one."""
    ids = [f"run-{number}" for number in range(RUNS)]
    steps = [("agent_instances/register", {"id": one, "agent_id": "agent"}) for one in ids]
    steps += [("agent_instances/start", {"agent_instance_id": one}) for one in ids]
    steps += [
        ("agent_spans/create", {"details": {"agent_instance_id": one, "schema_name": "step"}})
        for one in ids * SPANS
    ]
    ended = {"status": "complete", "timestamp": LONG_AGO}
    steps += [("agent_instances/finish", {"agent_instance_id": one, **ended}) for one in ids]
    steps += [("agent_instances/register", {"id": "open", "agent_id": "agent"})]
    steps += [("agent_instances/start", {"agent_instance_id": "open", "timestamp": LONG_AGO})]
    for place in range(0, len(steps), 800):
        items = [
            BulkItem(_type=kind, idempotency_key=f"step-{place + number:05}", **fields)
            for number, (kind, fields) in enumerate(steps[place : place + 800])
        ]
        answer = await client.bulk.execute(BulkRequest(items=items))
        assert {one.status for one in answer.outputs.values()} == {"success"}


async def left(client: PrefactorHttpClient) -> int:
    """Return the number of remaining runs, each of them whole."""
    found = [one async for one in client.agent_instances.iterate(page_size=100)]
    assert all(one.span_counts.total == SPANS for one in found if one.id != "open")
    return len(found)


async def until(client: PrefactorHttpClient, enough: Callable[[int], bool]) -> None:
    """Wait until a number of runs remains."""
    async with asyncio.timeout(patience(60)):
        while True:
            if enough(await left(client)):
                return
            await asyncio.sleep(0.02)


async def record_long_run(client: PrefactorHttpClient) -> None:
    """Record a run that ended long ago, with more spans than are deleted at once."""
    await client.agent_instances.register(agent_id="agent", id="long")
    await client.agent_instances.start("long")
    details = {"agent_instance_id": "long", "schema_name": "step", "payload": {"text": "x"}}
    for place in range(0, LONG, 800):
        items = [
            BulkItem(
                _type="agent_spans/create",
                idempotency_key=f"span-{place + number:05}",
                details={**details, "id": f"long-{place + number:05}"},
            )
            for number in range(min(800, LONG - place))
        ]
        answer = await client.bulk.execute(BulkRequest(items=items))
        assert {one.status for one in answer.outputs.values()} == {"success"}
    await client.agent_instances.finish("long", timestamp=LONG_AGO)


async def spans_left(database: str, enough: Callable[[int], bool]) -> int:
    """Wait until a number of the long run's spans remains in the database."""
    async with asyncio.timeout(patience(60)):
        while True:
            left = await count_spans(database)
            if enough(left):
                return left
            await asyncio.sleep(0.01)


async def count_spans(database: str) -> int:
    """Return the number of stored spans, including hidden ones."""
    counted = "SELECT count(*) FROM agent_span"
    if database.startswith("postgresql"):
        connection = await asyncpg.connect(database)
        try:
            return int(await connection.fetchval(counted))
        finally:
            await connection.close()
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as file:
        return int(file.execute(counted).fetchone()[0])


def verify(database: str) -> str:
    """Return the findings of the server's own check."""
    command = (sys.executable, "-m", "prefactor_server", "verify", "--database", database)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


async def test_killed_while_it_deletes(
    serve: Callable[..., LiveServer], database: str, tmp_path: Path
) -> None:
    """A server killed during a deletion leaves no run half deleted, and the log has every number.

    On a shared database another server continues, and nothing is deleted or counted twice.
    """
    server = serve(tmp_path / "first", *OFTEN, database=database)
    replicas = [server]
    if database.startswith("postgresql"):
        replicas.append(serve(tmp_path / "second", *OFTEN, database=database))
    async with client_of(server) as client:
        await record_old_runs(client)
        await client.retention_policies.update({"rules": [{"days": 30}]})
        await until(client, lambda runs: runs < RUNS)
    server.kill()
    assert verify(database) == "found no inconsistencies\n"
    after = replicas[1] if replicas[1:] else serve(tmp_path / "first", *OFTEN, database=database)
    async with client_of(after) as client:
        await until(client, lambda runs: runs == 1)
        entries = [one async for one in client.audit.iterate(action="retention_policies.apply")]
        assert (await client.agent_instances.get("open")).status == "active"

    counted = [re.findall(r"(\d+) runs?, (\d+) spans?", one.detail or "") for one in entries]
    assert {one.actor for one in entries} == {"server"}
    assert sum(int(runs) for ((runs, _),) in counted) == RUNS
    assert sum(int(spans) for ((_, spans),) in counted) == RUNS * SPANS
    assert verify(database) == "found no inconsistencies\n"


async def test_killed_within_a_long_run(
    serve: Callable[..., LiveServer], database: str, tmp_path: Path
) -> None:
    """A run whose deletion is interrupted stays invisible, and its spans are deleted later.

    They are deleted even if the next server applies no policies.
    """
    server = serve(tmp_path / "first", *OFTEN, database=database)
    async with client_of(server) as client:
        await record_long_run(client)
        await client.retention_policies.update({"rules": [{"days": 30}]})
        await spans_left(database, lambda spans: spans < LONG)
    server.kill()
    assert await spans_left(database, lambda _: True) > 0
    assert verify(database) == "found no inconsistencies\n"
    idle = ("--retention-interval-seconds", "0")
    async with client_of(serve(tmp_path / "first", *idle, database=database)) as client:
        assert [one async for one in client.agent_instances.iterate()] == []
        with pytest.raises(PrefactorNotFoundError):
            await client.agent_spans.get(f"long-{LONG - 1:05}")
        entries = [one async for one in client.audit.iterate(action="retention_policies.apply")]
        await spans_left(database, lambda spans: spans == 0)

    assert [re.findall(r"(\d+) runs?, (\d+) spans?", one.detail or "") for one in entries] == [
        [("1", str(LONG))]
    ]


def test_by_command_line(
    serve: Callable[..., LiveServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rules are set, replaced, previewed and removed by command, and errors are reported."""
    server = serve(tmp_path / "server")
    monkeypatch.setenv("PREFACTOR_API_URL", server.url)
    monkeypatch.setenv("PREFACTOR_API_TOKEN", server.token)

    def prefactor(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert run(("retention", *arguments)) == code
        return capsys.readouterr()

    assert "No run is deleted." in prefactor("show")[1]
    prefactor("set", "90")
    prefactor("set", "7", "--purpose", "eval", "--environment", "Default")
    listed, said = prefactor("set", "forever", "--purpose", "eval", "--environment", "Default")
    assert [row.split()[2:] for row in listed.splitlines()[1:]] == [
        ["eval", "forever"],
        ["all", "90"],
    ]
    assert "The audit log is kept forever." in said
    assert json.loads(prefactor("audit", "400", "--json")[0])["audit_days"] == 400
    assert "must be 30 to 36500 days" in prefactor("audit", "9", code=2)[1]
    for command, least in (("set", 1), ("audit", 30)):
        for days, shown in (("many", "'many'"), ("9" * 5000, "'99999999999999999999'…")):
            said = prefactor(command, days, code=2)[1]
            assert f"must be a whole number from {least} to 36500, or forever, got {shown}" in said
    assert prefactor("preview")[0].splitlines()[2].split()[-4:] == ["90", "0", "0", "0"]
    assert (
        "There is no rule for exactly these runs"
        in prefactor("remove", "--purpose", "live", code=1)[1]
    )
    prefactor("remove")
    listed, _ = prefactor("remove", "--purpose", "eval", "--environment", "Default")
    assert listed.splitlines()[1:] == []
