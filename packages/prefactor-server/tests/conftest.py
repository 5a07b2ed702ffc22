"""Fixtures of the server's tests: ``support/`` is importable, and databases are ready.

A promise that depends on the database is tested on every backend, by asking for ``database_url``.
"""

import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent / "support"))

from backends import BACKENDS, SharedDatabase, migrated_file
from database import Database, make_database

from postgres_server import PostgresServer, start_postgres

_numbers = count(1)


@pytest.fixture(autouse=True)
def _open_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count open runs without a pause, because tests move the follower on by hand."""
    monkeypatch.setattr("prefactor_server.follower.run_totals._GATHER_SECONDS", 0.0)


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A new database file with two accounts in it, open as a server has it open."""
    made = await make_database(tmp_path / "prefactor.db")
    yield made
    await made.storage.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server shared by the tests of this process: leave it running."""
    started = start_postgres()
    yield started
    started.discard()


@pytest.fixture(scope="session")
def _shared_database(postgres: PostgresServer) -> Iterator[SharedDatabase]:
    shared = SharedDatabase(postgres)
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def _migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_file(tmp_path_factory.mktemp("migrated"))


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database: one test for every backend.

    Its schema is up to date and must stay so, because other tests get the same database.
    """
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("_migrated_file"), tmp_path / "server.db")
        return f"sqlite:///{tmp_path / 'server.db'}"
    shared: SharedDatabase = request.getfixturevalue("_shared_database")
    shared.empty()
    return shared.url


@pytest.fixture(scope="module", params=BACKENDS)
def own_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The address of a new database for one test module, kept between its tests."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('own') / 'server.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database(f"own_{next(_numbers)}")
