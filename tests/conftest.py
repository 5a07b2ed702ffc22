"""Fixtures of the tests that span packages or judge the repository as a whole."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live_server import LiveServer, start_server


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One running server that every test which asks for it shares: leave it running."""
    server = start_server(tmp_path_factory.mktemp("live-server"))
    yield server
    server.stop()


@pytest.fixture
def serve() -> Iterator[Callable[..., LiveServer]]:
    """`start_server`, for servers of this test's own; those still running are stopped after it."""
    started: list[LiveServer] = []

    def start(directory: Path, *arguments: str, port: int = 0) -> LiveServer:
        server = start_server(directory, *arguments, port=port)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
