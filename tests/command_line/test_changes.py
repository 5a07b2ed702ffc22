"""`prefactor` commands that change something: terminating runs, and managing tokens."""

import asyncio
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import Call, Ended, Recorded, of_type, one_run
from live_server import LiveServer
from prefactor_cli.main import run


class Terminal(io.StringIO):
    """A standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_run_is_found_stopped_and_exported(
    serve: Callable[..., LiveServer],
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On either database: list a run, decline, terminate it, and export its data."""
    server = serve(tmp_path / "server", database=database)
    run_id = asyncio.run(one_run(server, "stopped-agent"))
    monkeypatch.setenv("PREFACTOR_API_URL", server.url)
    monkeypatch.setenv("PREFACTOR_API_TOKEN", server.token)

    def call(*arguments: str, said: str = "") -> Ended:
        monkeypatch.setattr(sys, "stdin", Terminal(said))
        code = run(arguments)
        return Ended(code, *capsys.readouterr())

    (listed,) = call("runs", "list", "--status", "active", "--json").objects
    assert listed["id"] == run_id
    stop = ("runs", "terminate", run_id, "--reason", "too expensive")
    declined = call(*stop, said="n\n")
    assert declined.code == 1
    assert f"Terminate run {run_id} of stopped-agent (active for" in declined.err
    assert declined.err.endswith("Nothing was terminated.\n")
    stopped = call(*stop, said="y\n")
    assert (stopped.code, stopped.out) == (
        0,
        f"terminated {run_id}: its agent learns of it with the next span it sends\n",
    )
    (exported,) = of_type(call("runs", "export", run_id).objects, "agent_instance")
    assert (exported["status"], exported["termination_reason"]) == ("terminated", "too expensive")
    assert call(*stop, "--yes").code == 1

    ids = {asyncio.run(one_run(server, "stopped-agent")) for _ in range(2)}
    other = asyncio.run(one_run(server, "other-agent"))
    many = ("runs", "terminate", "--agent", "stopped-agent")
    assert {one["id"] for one in call(*many, "--dry-run", "--json").objects} == ids
    shown = call(*many, "--dry-run")
    assert (shown.code, shown.err) == (0, "2 runs would be terminated.\n")
    assert all(one in shown.out for one in ids)
    declined = call(*many, "--reason", "stuck", said="n\n")
    assert declined.err.startswith("Terminate 2 runs? They cannot be started again. [y/N] ")
    ended = call(*many, "--reason", "stuck", "--json", said="y\n")
    assert {*json.loads(ended.out)["terminated"]} == ids
    assert call(*many, "--reason", "stuck", "--yes").err == "No active run matches.\n"
    (left,) = call("runs", "list", "--status", "active", "--json").objects
    assert left["id"] == other


def test_terminating_needs_a_confirmation(prefactor: Call, recorded: Recorded) -> None:
    """Without a terminal, --yes is required."""
    refused = prefactor("runs", "terminate", recorded.active, "--reason", "x")

    assert refused.code == 2
    assert refused.err == (
        "prefactor: Cannot ask for confirmation: standard input is not a terminal; give --yes\n"
    )
    assert prefactor("runs", "terminate", recorded.active, "--reason", " ", "--yes").code == 2


def test_a_token_is_created_suspended_and_revoked(
    prefactor: Call, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only a new token is on standard output, and it works until it is suspended or revoked."""
    made = prefactor("tokens", "create", "--expires-in", "1d")
    assert (made.code, len(made.out.splitlines())) == (0, 1)
    token_id = re.match(r"Token (\w+)\.", made.err)
    assert token_id
    file = tmp_path / "token"
    file.write_text(made.out, encoding="utf-8")
    monkeypatch.delenv("PREFACTOR_API_TOKEN")
    with_it = ("runs", "list", "--token-file", str(file))

    assert prefactor(*with_it).code == 0
    own = ("--token-file", str(owners(recorded, tmp_path)))
    assert prefactor("tokens", "suspend", token_id[1], *own).out == f"{token_id[1]} is suspended\n"
    assert prefactor(*with_it).code == 4
    assert prefactor("tokens", "activate", token_id[1], *own).out == f"{token_id[1]} is active\n"
    assert prefactor(*with_it).code == 0
    assert prefactor("tokens", "revoke", token_id[1], *own).out == f"{token_id[1]} is revoked\n"
    assert re.search(
        rf"^revoked +{token_id[1]} +account ", prefactor("tokens", "list", *own).out, re.MULTILINE
    )


def owners(recorded: Recorded, folder: Path) -> Path:
    """A file with the token of the account."""
    file = folder / "owner"
    file.write_text(recorded.server.token, encoding="utf-8")
    return file


def test_a_command_needs_its_right(prefactor: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command without the needed right exits with 4, and names that right."""
    made = prefactor("tokens", "create", "--agent", "polite-agent", "--environment", "Default")
    monkeypatch.setenv("PREFACTOR_API_TOKEN", made.out.strip())

    refused = prefactor("tokens", "list")

    assert refused.code == 4
    assert refused.err.startswith("prefactor: Not permitted: ")
    assert refused.err.count("\n") == 1
