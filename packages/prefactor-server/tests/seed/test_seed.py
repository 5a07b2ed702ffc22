"""``prefactor-server seed`` against a real server."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from front_door import ask

from live_server import PROGRAM, LiveServer, start_server
from prefactor_server.cli.seed import seed
from prefactor_server.domain.errors import Refusal
from prefactor_server.seed.api_client import ApiAddress
from prefactor_server.seed.filling import Plan, Report, Summary, fill


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[LiveServer]:
    """A running server on an empty database."""
    started = start_server(tmp_path, database=database_url)
    yield started
    started.kill()


def filled(server: LiveServer, plan: Plan, report: Report = lambda *_: None) -> Summary:
    """Fill the server, as the command does."""
    address = ApiAddress(server.url, server.token)
    return fill(address, plan, now=time.time_ns() // 1000, report=report)


def listed(server: LiveServer, path: str) -> Any:
    """The first page of a list."""
    return ask(server, "GET", f"{path}?pagination%5Bpage_size%5D=100").body["summaries"]


def test_a_server_is_filled_once(server: LiveServer) -> None:
    """Runs, spans, evaluations and scores are created, and a repeat adds none."""
    plan = Plan(1, 40, 200)
    told = filled(server, plan)
    runs = {run["id"]: run for run in listed(server, "/api/v1/agent_instance")}
    again = filled(server, plan)
    more = filled(server, Plan(2, 10, 0))

    large = runs.pop(str(told.large_run))
    assert large["span_counts"]["finished"] == large["span_counts"]["total"] == 200
    assert len(runs) == told.runs_written == 40
    assert sum(run["span_counts"]["total"] for run in runs.values()) == told.spans
    assert {run["status"] for run in runs.values()} >= {"pending", "active", "terminated"}
    assert {run["risk_level"] for run in runs.values()} >= {"low", "medium"}
    shown = [ask(server, "GET", f"/api/v1/agent_instance/{run}").body for run in sorted(runs)[:5]]
    assert any(run["details"]["quality_summaries"] for run in shown)
    assert again == told._replace(runs_written=0, large_run_written=False)
    assert (more.runs_written, more.large_run) == (10, None)
    assert len(listed(server, "/api/v1/agent")) == 3


class InterruptedSeedError(Exception):
    """The command was interrupted."""


def test_a_seed_that_was_interrupted_is_completed(server: LiveServer) -> None:
    """The next run writes what an interrupted run left out, under the same ids."""

    def interrupt(*_: object) -> None:
        raise InterruptedSeedError

    plan = Plan(1, 100, 0)
    with pytest.raises(InterruptedSeedError):
        filled(server, plan, interrupt)

    told = filled(server, plan)
    pagination = ask(server, "GET", "/api/v1/agent_instance").body["pagination"]

    assert pagination["item_count"] == told.runs == 100
    assert filled(server, plan) == told._replace(runs_written=0)


class TestTheCommand:
    """What the command prints, on one database because both print the same."""

    @pytest.fixture
    def database_url(self, tmp_path: Path) -> str:
        """A file."""
        return f"sqlite:///{tmp_path / 'server.db'}"

    def test_the_summary_is_json_on_request(self, server: LiveServer) -> None:
        """The summary is JSON for a program; a refusal is one line, with status 1."""
        options = {"env": server.environment, "capture_output": True, "text": True}
        done = subprocess.run([PROGRAM, "seed", "--runs", "3", "--json"], check=True, **options)
        wrong = subprocess.run([PROGRAM, "seed", "--runs", "0"], check=False, **options)

        assert json.loads(done.stdout)["runs_written"] == 3
        assert done.stderr == ""
        assert wrong.returncode == 1
        assert len(wrong.stderr.splitlines()) == 1
        assert "--runs" in wrong.stderr

    def test_the_summary_is_text_by_default(
        self,
        server: LiveServer,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Without --json the summary is text."""
        monkeypatch.setenv("PREFACTOR_API_TOKEN", server.token)
        seed(runs=2, large_run=True, large_run_spans=12, url=server.url)

        said = capsys.readouterr().out
        assert said.startswith("2 runs with ")
        assert "the large run seed-1-large-12 is new" in said

    def test_a_deployment_token_is_refused(
        self, server: LiveServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A token that may only record one agent's runs is refused with that reason."""
        ask(server, "POST", "/api/v1/agent", {"details": {"name": "A", "external_identifier": "a"}})
        environment = ask(server, "GET", "/api/v1/environment").body["summaries"][0]["id"]
        wanted = {"token_scope": "agent_deployment", "agent_id": "a", "environment_id": environment}
        token = ask(server, "POST", "/api/v1/api_token", {"details": wanted}).body["token"]
        monkeypatch.setenv("PREFACTOR_API_TOKEN", token)

        with pytest.raises(Refusal, match="an account token is needed"):
            seed(url=server.url)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, "--seed"),
        ({"runs": 0}, "--runs"),
        ({"large_run_spans": 9}, "--large-run-spans"),
        ({"url": "ftp://a"}, "--url"),
    ],
)
def test_an_invalid_value_is_named(arguments: dict[str, Any], words: str) -> None:
    """A value out of range is refused before anything is sent."""
    with pytest.raises(Refusal, match=words):
        seed(**arguments)
