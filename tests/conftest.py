"""Fixtures of tests that span packages or check the repository as a whole."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from live_server import LiveServer, start_server
from postgres_server import DURABLE, PostgresServer, start_postgres
from reserved_port import reserved_port

_numbers = count(1)


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A running server that all tests of a process share. Do not stop it."""
    server = start_server(tmp_path_factory.mktemp("live-server"))
    yield server
    server.stop()


@pytest.fixture
def serve() -> Iterator[Callable[..., LiveServer]]:
    """`start_server`, for separate servers, which are stopped after the test."""
    started: list[LiveServer] = []

    def start(directory: Path, *arguments: str, **options: Any) -> LiveServer:
        server = start_server(directory, *arguments, **options)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def port() -> Iterator[int]:
    """A port for a server that the test stops and starts again."""
    with reserved_port() as reserved:
        yield reserved


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that the tests of this process share: leave it running.

    It writes to the disk as in production, because the tests that use it are about crashes.
    """
    started = start_postgres(DURABLE)
    yield started
    started.discard()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new, empty database: one test for every backend."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'server.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database(f"test_{next(_numbers)}")
