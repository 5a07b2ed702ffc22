"""A database that was dropped or lost a table or its role gives a clear error, never a 500."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from front_door import ask
from postgres_database import PostgresDatabase, do
from rows import ACCOUNT, register

from live_server import start_server
from postgres_server import PostgresServer
from prefactor_server.domain.errors import DatabaseUnusable
from prefactor_server.storage.postgres.backend import PostgresStorage


@pytest_asyncio.fixture
async def storage(database: PostgresDatabase) -> AsyncIterator[PostgresStorage]:
    """A server's storage with a short wait for its database."""
    opened = await database.open(retry_seconds=1)
    await do(opened, register("run-1"))
    await opened.instance(ACCOUNT, "run-1")
    yield opened
    await opened.close()


async def _refused(storage: PostgresStorage, message: str) -> None:
    """Writes and the probe are refused with a message."""
    with pytest.raises(DatabaseUnusable, match=message):
        await do(storage, register("run-2"))
    with pytest.raises(DatabaseUnusable, match=message):
        await storage.maintenance.check_writable()


async def test_a_database_that_was_dropped(
    database: PostgresDatabase, storage: PostgresStorage, server: PostgresServer
) -> None:
    """Reads, writes and the probe say that the database does not exist."""
    server.run("dropdb", "--force", urlsplit(database.url).path.removeprefix("/"))

    await _refused(storage, "no longer exists")
    with pytest.raises(DatabaseUnusable, match="no longer exists"):
        await storage.instance(ACCOUNT, "run-1")


async def test_a_dropped_table(database: PostgresDatabase, storage: PostgresStorage) -> None:
    """A table that was dropped is found by reads, by writes and by the probe."""
    await database.rows("DROP TABLE agent_instance CASCADE")

    await _refused(storage, "table of the database is missing")
    with pytest.raises(DatabaseUnusable, match="table of the database is missing"):
        await storage.instance(ACCOUNT, "run-1")


async def test_a_connection_to_a_standby_is_replaced(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A connection that refuses writes is used once, and the next request opens another."""
    async with storage._writing.connection() as connection:
        await connection.execute("SET default_transaction_read_only = on")

    with pytest.raises(DatabaseUnusable, match="primary server"):
        await do(storage, register("run-2"))
    await do(storage, register("run-2"))
    await storage.maintenance.check_writable()


async def test_a_read_only_database_is_read(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A read-only database refuses writes and still serves reads."""
    name = urlsplit(database.url).path.removeprefix("/")
    await database.rows(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    async with storage._writing.connection() as connection:
        await connection.execute("SET default_transaction_read_only = on")

    await _refused(storage, "primary server")
    assert await storage.instance(ACCOUNT, "run-1") is not None


def test_a_dropped_database_gets_a_503(server: PostgresServer, tmp_path: Path) -> None:
    """Over HTTP the answer is a 503 with a code, the server is unready, and its log says why."""
    url = server.create_database("dropped_under_a_server")
    running = start_server(tmp_path, database=url)
    try:
        server.run("dropdb", "--force", "dropped_under_a_server")
        ready = ask(running, "GET", "/readyz", token="")
        written = ask(running, "POST", "/api/v1/agent_instance/register", {"agent_id": "a"})
    finally:
        running.kill()

    for answer in (ready, written):
        assert (answer.status, answer.body["code"]) == (503, "database_unusable"), answer.text
    assert "not_ready" in running.output
    assert url not in written.text + ready.text
