"""The commands that list something, for a person at a terminal of any width and for a program."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from front_door import ask, register

from live_server import PROGRAM, LiveServer, start_server

LONG_ID = "a-run-with-an-id-as-long-as-a-client-may-choose.".ljust(64, "x")
REASON = "a lawsuit,\nwith [brackets], \x1b[31mcolours\x1b[0m and " + "many words " * 20


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[LiveServer]:
    """A running server with a run of the longest id, which is on hold."""
    started = start_server(tmp_path, database=database_url)
    register(started, LONG_ID)
    assert command(database_url, "hold", "add", LONG_ID, "--reason", REASON).returncode == 0
    yield started
    started.kill()


def command(database: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command into pipes, with a narrow width in the environment."""
    return subprocess.run(
        [PROGRAM, *arguments, "--database", database],
        env={**os.environ, "COLUMNS": "20"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def on_terminal(database: str, *arguments: str) -> str:
    """What a command prints to a terminal of ten columns."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [PROGRAM, *arguments, "--database", database],
            env={**os.environ, "COLUMNS": "10", "TERM": "xterm"},
            stdout=theirs,
            timeout=120,
            check=True,
        )
    finally:
        os.close(theirs)
    told = b""
    # Linux reports the end of a terminal as an error.
    with suppress(OSError):
        while piece := os.read(ours, 65536):
            told += piece
    os.close(ours)
    return told.decode()


def objects(text: str) -> list[Any]:
    """The JSON objects of an output, one a line."""
    return [json.loads(line) for line in text.splitlines()]


def test_an_id_is_whole_at_any_width(server: LiveServer, database_url: str) -> None:
    """In a pipe and on a terminal of any width, an id is never split over two lines."""
    tokens = [one["id"] for one in ask(server, "GET", "/api/v1/api_token").body["summaries"]]

    holds = on_terminal(database_url, "hold", "list")
    listed = command(database_url, "token", "list").stdout

    assert LONG_ID in holds
    assert len(holds.splitlines()) == 2, "a row is a line, whatever the reason holds"
    assert "\x1b[31m" not in holds
    assert [token in listed for token in tokens] == [True]


def test_lists_have_json_output(server: LiveServer, database_url: str) -> None:
    """``--json`` prints an object per line, with values as the API has them, texts unchanged."""
    (summary,) = ask(server, "GET", "/api/v1/api_token").body["summaries"]

    (hold,) = objects(command(database_url, "hold", "list", "--json").stdout)
    (token,) = objects(command(database_url, "token", "list", "--json").stdout)
    sound = command(database_url, "verify", "--json")

    assert (hold["agent_instance_id"], hold["reason"]) == (LONG_ID, REASON)
    assert token == {**{name: summary[name] for name in token}, "token_start": None}
    assert (sound.returncode, sound.stdout) == (0, "")


def test_settings_and_migrations_have_json_output(tmp_path: Path) -> None:
    """Settings with their sources, and migration steps, are printed as objects too."""
    database = f"sqlite:///{tmp_path / 'new.db'}"
    shown = objects(command(database, "config", "show", "--json", "--port", "9000").stdout)
    steps = objects(command(database, "migrate", "--json").stdout)

    assert {"name": "port", "value": "9000", "source": "--port"} in shown
    assert [one["version"] for one in steps] == list(range(1, len(steps) + 1))
    assert steps[0]["name"] == "initial"
    assert command(database, "migrate", "--json").stdout == ""
