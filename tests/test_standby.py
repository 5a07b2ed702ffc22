"""A server that reads from a hot standby never shows less than its caller has seen."""

import asyncio
import http.client
import json
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest

from live_server import LiveServer, start_server
from patience import patience
from postgres_server import PostgresServer, start_postgres, start_standby

POSITION = "X-Prefactor-Position"
_numbers = count(1)


class Answer(NamedTuple):
    """The body of an answer, and its position if it has one."""

    body: Any
    position: str | None


class Pair(NamedTuple):
    """A server of ours that reads from the standby of its database."""

    server: LiveServer
    primary: PostgresServer
    standby: PostgresServer
    database: str

    def ask(self, path: str, position: str | None = None, body: Any = None) -> Answer:
        """Send a request, with a position if the caller has one, and return its answer."""
        headers = {"Authorization": f"Bearer {self.server.token}"}
        if position is not None:
            headers[POSITION] = position
        if body is not None:
            headers["Content-Type"] = "application/json"
        method = "GET" if body is None else "POST"
        sent = None if body is None else json.dumps(body)
        status, text, answered = send(self.server, f"/api/v1/{path}", method, sent, headers)
        assert status == 200, text
        return Answer(json.loads(text), answered)

    def write(self) -> tuple[str, str]:
        """Register a run, and return its id and the position of the answer."""
        body = {"agent_id": "agent", "idempotency_key": f"write-{next(_numbers):04}"}
        answer = self.ask("agent_instance/register", body=body)
        assert answer.position is not None
        return answer.body["details"]["id"], answer.position

    def runs(self, position: str | None = None) -> set[str]:
        """Return the ids of all runs, as a caller at a position sees them."""
        answer = self.ask("agent_instance", position)
        return {run["id"] for run in answer.body["summaries"]}

    def metric(self, name: str) -> float:
        """Return a metric of the server."""
        _, text, _ = send(self.server, "/metrics")
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    def reads(self, outcome: str) -> float:
        """Return how many reads had an outcome."""
        return self.metric(f'prefactor_standby_reads_total{{outcome="{outcome}"}}')

    def until(self, name: str, value: float) -> None:
        """Wait until a metric has a value."""
        deadline = time.monotonic() + patience(30)
        while self.metric(name) != value:
            assert time.monotonic() < deadline, f"{name} is not {value}\n{self.server.output}"
            time.sleep(0.1)

    def until_usable(self, *, usable: bool = True) -> None:
        """Wait until the server reads from the standby, or does so no longer."""
        self.until("prefactor_standby_usable", float(usable))

    def until_replayed(self) -> None:
        """Wait until the standby has replayed everything that was written."""
        written = on(self.primary, self.database, "SELECT pg_current_wal_flush_lsn()::text")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"
        deadline = time.monotonic() + patience(30)
        while not on(self.standby, self.database, replayed):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def send(
    server: LiveServer,
    path: str,
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, str, str | None]:
    """Send a request, and return the status, the body and the position of its answer."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=patience(60))
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers[POSITION]
    finally:
        connection.close()


def on(server: PostgresServer, database: str, query: str) -> Any:
    """Return the single value of a query."""
    return asyncio.run(_with(server.url(database), lambda connection: connection.fetchval(query)))


async def _with(url: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await work(connection)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresServer]:
    """A PostgreSQL server that others copy."""
    started = start_postgres()
    yield started
    started.discard()


@contextmanager
def copied(directory: Path, primary: PostgresServer) -> Iterator[Pair]:
    """A server on a new database, and a standby of that, both until the end of the block."""
    database = f"test_{next(_numbers)}"
    url = primary.create_database(database)
    standby = start_standby(primary)
    try:
        server = start_server(directory, "--read-database", standby.url(database), database=url)
        try:
            made = Pair(server, primary, standby, database)
            made.until_usable()
            yield made
        finally:
            server.stop()
    finally:
        standby.discard()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, primary: PostgresServer) -> Iterator[Pair]:
    """A server that reads from a standby. Leave it in that state."""
    with copied(tmp_path_factory.mktemp("standby"), primary) as made:
        yield made


def test_only_a_caller_with_a_position_reads_the_standby(pair: Pair) -> None:
    """A caller without a position reads from the primary, and one with a position the standby."""
    run, position = pair.write()
    pair.until_replayed()
    before = pair.reads("standby")

    assert run in pair.runs()
    assert pair.reads("standby") == before
    assert run in pair.runs(position)
    assert pair.reads("standby") > before
    before = pair.reads("standby")
    pair.ask("api_token", position)
    assert pair.reads("standby") == before, "what administers reads from the primary"


def test_a_standby_that_is_behind(pair: Pair) -> None:
    """A caller sees its own write while the standby lags; other callers may not.

    A standby that stays behind is not read at all until it has caught up.
    """
    first, old = pair.write()
    pair.until_replayed()
    on(pair.standby, pair.database, "SELECT pg_wal_replay_pause()")
    second, new = pair.write()

    assert second in pair.runs(new)
    assert second in pair.runs()
    seen = pair.runs(old)
    assert first in seen
    assert second not in seen
    repeated = pair.ask("agent_instance", new)
    assert repeated.position is not None
    assert int(repeated.position) >= int(new), "the answer says what its caller has seen now"

    pair.until_usable(usable=False)
    assert second in pair.runs(old)
    on(pair.standby, pair.database, "SELECT pg_wal_replay_resume()")
    pair.until_usable()
    pair.until_replayed()
    before = pair.reads("standby")
    assert second in pair.runs(new)
    assert pair.reads("standby") > before


def test_a_repeated_write_has_a_position(pair: Pair) -> None:
    """The answer to a repeated write has a position that contains the first one."""
    body = {"agent_id": "agent", "idempotency_key": "the-same-key"}
    first = pair.ask("agent_instance/register", body=body)
    pair.write()

    again = pair.ask("agent_instance/register", body=body)

    assert first.position is not None
    assert again.position is not None
    assert int(again.position) >= int(first.position)


def test_commits_out_of_order(pair: Pair) -> None:
    """A position counts as replayed only when its own transaction has ended on the standby."""

    async def overtaken() -> None:
        async def work(connection: Any) -> None:
            async with connection.transaction():
                await connection.execute("CREATE TABLE slow ()")
                slow = await connection.fetchval("SELECT pg_current_xact_id()::text")
                await asyncio.to_thread(pair.write)
                await asyncio.to_thread(pair.until_replayed)
                await asyncio.to_thread(pair.runs, slow)

        await _with(pair.primary.url(pair.database), work)

    behind, read = pair.reads("behind"), pair.reads("standby")

    asyncio.run(overtaken())

    assert pair.reads("behind") == behind + 1
    assert pair.reads("standby") == read


def test_a_standby_that_dies(pair: Pair) -> None:
    """Reads continue while the standby is down, and use it again when it is back."""
    run, position = pair.write()
    pair.until_replayed()
    assert run in pair.runs(position)

    pair.standby.stop(signal.SIGQUIT)

    assert run in pair.runs(position)
    assert pair.reads("failed") + pair.reads("unusable") > 0
    pair.until_usable(usable=False)
    assert run in pair.runs(position)
    assert "standby_unusable" in pair.server.output
    pair.standby.start()
    pair.until_usable()
    before = pair.reads("standby")
    assert run in pair.runs(position)
    assert pair.reads("standby") > before


def test_a_standby_that_is_promoted(tmp_path: Path, primary: PostgresServer) -> None:
    """A promoted standby, which no longer follows the primary, is not read any more."""
    with copied(tmp_path, primary) as pair:
        first, position = pair.write()
        pair.until_replayed()
        assert pair.runs(position) == {first}

        on(pair.standby, pair.database, "SELECT pg_promote()")
        second, _ = pair.write()

        assert pair.runs("0") == {first, second}
        pair.until_usable(usable=False)
        assert "promoted" in pair.server.output


def test_a_server_that_is_no_standby(
    tmp_path: Path, serve: Callable[..., LiveServer], primary: PostgresServer
) -> None:
    """A read database that is not a standby is never read, and the log says why."""
    database, other = (f"test_{next(_numbers)}" for _ in range(2))
    url = primary.create_database(database)
    server = serve(tmp_path, "--read-database", primary.create_database(other), database=url)
    pair = Pair(server, primary, primary, database)

    run, _ = pair.write()

    assert pair.runs("0") == {run}
    assert pair.reads("unusable") > 0
    assert "it is a standby of another database" in server.output
