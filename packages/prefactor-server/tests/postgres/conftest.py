"""A PostgreSQL server for the tests of one run, and a new database in it for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import pytest_asyncio
from postgres_database import PostgresDatabase, fill

from postgres_server import PostgresServer, start_postgres
from prefactor_server.storage.postgres.backend import PostgresStorage

_TEMPLATE = "with_two_accounts"
_numbers = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A server shared by the tests of this process: leave it running."""
    started = start_postgres()
    yield started
    started.discard()


@pytest.fixture(scope="session")
def template(server: PostgresServer) -> str:
    """The name of a database to start from copies of."""
    url = server.create_database(_TEMPLATE)

    async def prepare() -> None:
        storage = await PostgresStorage.open(url)
        await fill(storage, url)
        await storage.close()

    asyncio.run(prepare())
    return _TEMPLATE


@pytest.fixture
def empty_url(server: PostgresServer) -> str:
    """The address of a database without any schema."""
    return server.create_database(f"empty_{next(_numbers)}")


@pytest.fixture
def database(server: PostgresServer, template: str) -> PostgresDatabase:
    """A database with two accounts in it."""
    name = f"test_{next(_numbers)}"
    server.run("createdb", "--template", template, name)
    return PostgresDatabase(server.url(name))


@pytest_asyncio.fixture
async def storage(database: PostgresDatabase) -> AsyncIterator[PostgresStorage]:
    """The storage of one server."""
    opened = await database.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def other(database: PostgresDatabase) -> AsyncIterator[PostgresStorage]:
    """The storage of a second server on the same database."""
    opened = await database.open()
    yield opened
    await opened.close()
