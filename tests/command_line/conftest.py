"""The server with known runs, and `prefactor` in this process."""

import asyncio
from collections.abc import Iterator

import pytest

from command_line import Call, Ended, Recorded, record_runs
from live_server import start_server
from prefactor_cli.main import run


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A server with known runs, which all tests of a process share and do not change."""
    server = start_server(tmp_path_factory.mktemp("command-line"))
    yield Recorded(server, *asyncio.run(record_runs(server)))
    server.stop()


@pytest.fixture
def prefactor(
    recorded: Recorded, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Call:
    """Run the command in this process, with standard output as a pipe has it."""
    monkeypatch.setenv("PREFACTOR_API_URL", recorded.server.url)
    monkeypatch.setenv("PREFACTOR_API_TOKEN", recorded.server.token)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("BROWSER", raising=False)

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run(arguments)
        return Ended(code, *capsys.readouterr())

    return call
