"""A server that loses its database file reports it and acknowledges nothing."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from front_door import Answer, ask, bulk_of_spans, register

from live_server import LiveServer, start_server

Break = Callable[[Path], object]
PAGE = 4096


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the database, which may be renamed."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def server(tmp_path: Path, folder: Path) -> Iterator[LiveServer]:
    """A running server with a run of sixty spans, all of them in the database file itself."""
    database = f"sqlite:///{folder / 'server.db'}"
    first = start_server(tmp_path, database=database)
    register(first, "run-1")
    bulk = bulk_of_spans("run-1", 0, 60, result_payload={"text": "lorem ipsum " * 50})
    assert ask(first, "POST", "/api/v1/bulk", bulk).status == 200
    assert first.stop() == 0
    second = start_server(tmp_path, database=database)
    register(second, "run-2")
    yield second
    second.kill()


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


def _truncate(path: Path) -> None:
    os.truncate(path, 3 * PAGE)


def _corrupt(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xff" * (path.stat().st_size - PAGE))


def _wal(change: Break) -> Break:
    def change_log(path: Path) -> object:
        return change(path.with_name("server.db-wal"))

    return change_log


def _rename_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def _write(server: LiveServer) -> Answer:
    return ask(server, "POST", "/api/v1/agent_instance/register", {"agent_id": "agent-1"})


def _log(server: LiveServer, event: str) -> list[Any]:
    lines = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(_remove, id="deleted"),
        pytest.param(_replace, id="replaced"),
        pytest.param(_truncate, id="truncated"),
        pytest.param(_wal(_remove), id="log deleted"),
        pytest.param(_wal(_replace), id="log replaced"),
        pytest.param(lambda path: os.truncate(f"{path}-wal", 0), id="log truncated"),
        pytest.param(_rename_folder, id="folder renamed"),
    ],
)
def test_a_server_without_its_database_is_not_ready(
    server: LiveServer, folder: Path, damage: Break
) -> None:
    """Writes get a 503 with a reason, the server is unready, and its log says why."""
    assert ask(server, "GET", "/readyz", token="").status == 200
    damage(folder / "server.db")

    written = _write(server)
    ready = ask(server, "GET", "/readyz", token="")
    while ready.status == 200:
        time.sleep(0.1)  # an answer is kept for a second
        ready = ask(server, "GET", "/readyz", token="")

    assert (written.status, written.body["code"]) == (503, "database_unusable"), written.text
    assert "nothing was stored" in written.body["message"] or "damaged" in written.text
    assert (ready.status, ready.body["code"]) == (503, "database_unusable")
    assert ready.body["reason"]
    assert str(folder) not in ready.text + written.text
    assert ask(server, "GET", "/healthz", token="").status == 200
    (line,) = _log(server, "not_ready")
    assert (line["level"], line["reason"]) == ("error", ready.body["reason"])


def test_the_probe_finds_damage(server: LiveServer, folder: Path) -> None:
    """The probe finds damage without any request of the API, although pages are cached."""
    _corrupt(folder / "server.db")

    ready = ask(server, "GET", "/readyz", token="")
    reads = [
        ask(server, "GET", path)
        for path in ("/api/v1/agent_spans?agent_instance_id=run-1", "/api/v1/agent_instance/run-1")
    ]

    assert (ready.status, "damaged" in ready.body["reason"]) == (503, True)
    assert {answer.status for answer in reads} <= {200, 503}
    assert _write(server).body["code"] == "database_unusable"


def test_a_restored_database_is_used_again(server: LiveServer, folder: Path) -> None:
    """When a renamed folder is put back, the server is ready and nothing is missing."""
    _rename_folder(folder / "server.db")
    assert _write(server).status == 503
    folder.with_name("elsewhere").rename(folder)

    written = _write(server)

    assert written.status == 200, written.text
    while ask(server, "GET", "/readyz", token="").status != 200:
        time.sleep(0.1)
    runs = ask(server, "GET", "/api/v1/agent_instance").body["pagination"]["item_count"]
    assert runs == 3


def test_a_deleted_log_is_saved_at_shutdown(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    """Stopped by SIGTERM, as its message advises, the server saves what its open log holds."""
    (folder / "server.db-wal").unlink()
    assert "SIGTERM" in _write(server).body["message"]
    assert server.stop() == 0

    again = start_server(tmp_path, database=f"sqlite:///{folder / 'server.db'}")
    try:
        assert ask(again, "GET", "/api/v1/agent_instance/run-2").status == 200
    finally:
        again.kill()
