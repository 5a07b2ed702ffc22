"""One server for all hostile callers of a test module, which has to survive them."""

from collections.abc import Iterator

import pytest
from front_door import ask
from raw_socket import SECONDS, RawSocket, connected

from live_server import LiveServer, start_server


@pytest.fixture(scope="module")
def process_database() -> str | None:
    """Where the server stores what it accepts; invalid HTTP never gets there."""
    return None


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, process_database: str | None
) -> Iterator[LiveServer]:
    """A server with short timeouts and small requests."""
    flags = ("--request-timeout-seconds", str(SECONDS), "--max-request-bytes", "200000")
    server = start_server(tmp_path_factory.mktemp("hostile"), *flags, database=process_database)
    yield server
    assert server.stop() == 0, server.output
    for row in server.output.splitlines():
        assert row.startswith(("{", "prefactor-server ")), row


@pytest.fixture
def server(process: LiveServer) -> Iterator[LiveServer]:
    """The server, which must answer after each test and log no unexpected error."""
    yield process
    assert process.process.poll() is None, process.output
    assert ask(process, "GET", "/api/v1/ping").status == 200
    assert "request_failed" not in process.output
    assert "Traceback" not in process.output


@pytest.fixture
def line(server: LiveServer) -> Iterator[RawSocket]:
    """A connection to the server."""
    with connected(server) as connection:
        yield connection
