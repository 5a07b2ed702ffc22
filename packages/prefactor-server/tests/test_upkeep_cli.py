"""The maintenance commands, used by an operator while a server runs."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from backends import rows
from front_door import ask, bulk_of_spans, register

from live_server import PROGRAM, LiveServer, start_server
from prefactor_server.databases import is_on_server

Run = Callable[..., "subprocess.CompletedProcess[str]"]
# The statement that deletes the last span's result, on SQLite and on PostgreSQL.
LOSE_A_RESULT = (
    "DELETE FROM span_payload WHERE id = (SELECT max(id) FROM span_payload)",
    "DELETE FROM span_payload WHERE span_id = 'three-span-3' AND part = 1",
)

TOTALS = "SELECT id, usage, unpriced_spans FROM run_total ORDER BY id"


@pytest.fixture
def database() -> str | None:
    """The server's database: a file beside it, or what a test class provides."""
    return None


@pytest.fixture
def server(tmp_path: Path, database: str | None) -> Iterator[LiveServer]:
    """A running server with three runs of two agents, of which two have ended."""
    started = start_server(tmp_path, database=database)
    for name, agent in (("one", "support"), ("two", "sales"), ("three", "sales")):
        register(started, name, agent_id=agent)
        ask(started, "POST", f"/api/v1/agent_instance/{name}/start", {})
        spans = bulk_of_spans(name, 0, 4, result_payload={"text": "lorem ipsum " * 60})
        assert ask(started, "POST", "/api/v1/bulk", spans).status == 200
    for name in ("one", "two"):
        ask(started, "POST", f"/api/v1/agent_instance/{name}/finish", {})
    yield started
    started.kill()


@pytest.fixture
def run(tmp_path: Path, database: str | None) -> Run:
    """Run a command on the server's database to its end."""

    def command(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        url = database or f"sqlite:///{tmp_path / 'server.db'}"
        given = {"PREFACTOR_DATABASE": url, **variables}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFACTOR_")}
        return subprocess.run(
            [PROGRAM, *arguments],
            cwd=tmp_path,
            env={**kept, "COLUMNS": "200", **given},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command


def status(server: LiveServer, run_id: str) -> int:
    """Return the status of the server's answer to a read of a run."""
    return ask(server, "GET", f"/api/v1/agent_instance/{run_id}").status


class TestOnEitherBackend:
    """The commands about runs, on either backend."""

    @pytest.fixture
    def database(self, database_url: str) -> str:
        """Each backend."""
        return database_url

    def test_verify_finds_damage(self, server: LiveServer, run: Run, database: str) -> None:
        """A sound database exits with 0; a damaged one exits with 1 and names the run."""
        sound = run("verify")
        assert (sound.returncode, sound.stdout) == (0, "found no inconsistencies\n")

        rows(database, "UPDATE agent_instance SET complete_spans = 7 WHERE id = 'one'")
        rows(database, LOSE_A_RESULT[is_on_server(database)])
        broken = run("verify")

        assert broken.returncode == 1
        assert "run one: counts 7 complete spans but has 4" in broken.stdout
        assert "span three-span-3: its result payload of" in broken.stdout
        assert broken.stdout.endswith("found 2 inconsistencies\n")

    def test_derived_data_is_rebuilt(self, server: LiveServer, run: Run, database: str) -> None:
        """A rebuild replaces derived data, with and without a running server."""
        first = run("rebuild", "run_totals")
        made = rows(database, TOTALS)
        rows(database, "UPDATE run_total SET usage = '[]', unpriced_spans = 77")
        beside = run("rebuild", "run_totals")
        again = rows(database, TOTALS)
        server.kill()
        rows(database, "DELETE FROM lease")
        rows(database, "DELETE FROM run_total")
        alone = run("rebuild", "run_totals")

        for done in (first, beside, alone):
            assert (done.returncode, done.stdout) == (0, "rebuilt run_totals\n"), done.stderr
        assert [run_id for run_id, _, _ in made] == ["one", "three", "two"]
        assert made == again == rows(database, TOTALS)
        unknown = run("rebuild", "nothing")
        assert unknown.returncode == 1
        assert "the names are alerts, run_totals, search, series, span_types" in unknown.stderr

    def test_the_lag_is_a_metric(self, server: LiveServer) -> None:
        """Each consumer's lag is a metric."""
        with urlopen(f"{server.url}/metrics") as page:  # noqa: S310 - our own server
            text = page.read().decode()

        for name in ("alerts", "run_totals", "search", "series", "span_types"):
            assert f'prefactor_follower_lag_positions{{consumer="{name}"}}' in text
            assert f'prefactor_follower_lag_seconds{{consumer="{name}"}}' in text

    def test_pruning_is_previewed_and_done(self, server: LiveServer, run: Run) -> None:
        """A dry run reports what pruning then does, and the server no longer has the runs."""
        dry = run("prune", "--days", "0", "--agent", "support", "--dry-run")
        assert dry.stdout.startswith("would delete 1 runs, 4 spans and ")
        assert status(server, "one") == 200

        done = run("prune", "--days", "0", "--agent", "support")
        assert done.stdout == dry.stdout.replace("would delete", "deleted")
        assert [status(server, name) for name in ("one", "two", "three")] == [404, 200, 200]
        assert ask(server, "GET", "/api/v1/agent_spans/one-span-0").status == 404
        assert run("prune", "--days", "1").stdout.startswith("deleted 0 runs")
        assert run("prune", "--days", "0").stdout.startswith("deleted 1 runs")
        assert status(server, "three") == 200
        assert run("verify").returncode == 0

    def test_pruning_an_environment(self, server: LiveServer, run: Run) -> None:
        """A retention may apply to an environment, by its id."""
        found = ask(server, "GET", "/api/v1/agent_instance/one").body["details"]["environment_id"]

        other = ask(server, "POST", "/api/v1/environment", {"details": {"name": "Other"}}).body
        assert run(
            "prune", "--days", "0", "--environment", other["details"]["id"]
        ).stdout.startswith("deleted 0 runs")
        assert run("prune", "--days", "0", "--environment", found).stdout.startswith(
            "deleted 2 runs"
        )

    def test_old_keys_are_deleted_too(self, server: LiveServer, run: Run, database: str) -> None:
        """Pruning also deletes idempotency keys that have expired."""
        rows(database, "UPDATE idempotency_key SET inserted_at = 1")
        done = run("prune", "--days", "1000")

        assert done.stdout.splitlines()[-1] == "deleted 12 idempotency keys"

    def test_a_held_run_is_kept_until_its_release(self, server: LiveServer, run: Run) -> None:
        """A hold keeps a run from being pruned, is listed with its reason, and can be removed."""
        assert run("hold", "add", "one", "--reason", "case [17]").stdout == "held one\n"
        listed = run("hold", "list").stdout
        assert "one" in listed
        assert "case [17]" in listed

        pruned = run("prune", "--days", "0").stdout
        assert "kept 1 runs that are old enough but on hold" in pruned
        assert [status(server, name) for name in ("one", "two")] == [200, 404]
        assert run("hold", "remove", "one").returncode == 0
        run("prune", "--days", "0")
        assert status(server, "one") == 404


def test_pruning_works_on_a_full_disk(server: LiveServer, run: Run) -> None:
    """Pruning still works when too little disk space makes the server refuse writes."""
    full = {"PREFACTOR_MIN_FREE_DISK_BYTES": str(1 << 60)}

    assert run("prune", "--days", "0", **full).stdout.startswith("deleted 2 runs")
    assert "min_free_disk_bytes" in run("hold", "add", "three", "--reason", "why", **full).stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hold", "add", "nobody", "--reason", "why"], "There is no run 'nobody'"),
        (["hold", "add", "one", "--reason", " "], "Validation failed"),
        (["hold", "remove", "one"], "Run 'one' has no hold"),
        (["prune", "--days", "1", "--agent", "nobody"], "There is no agent 'nobody'"),
        (["prune", "--days", "1", "--environment", "nowhere"], "no environment with the id 'now"),
        (["prune", "--days", "-1"], "--days"),
        (["verify", "--database", "sqlite:///../"], "is a folder: add the name of a file"),
        (["backup", "server.db"], "server.db already exists"),
        (["backup", "nowhere/copy.db"], "Cannot write"),
        (["verify", "--database", "sqlite:///other.db"], "start the server once first"),
        (["backup", "copy.db", "--database", "sqlite:///other.db"], "start the server once first"),
    ],
)
def test_a_fixable_error_is_one_line(
    server: LiveServer, run: Run, arguments: list[str], says: str
) -> None:
    """A command that cannot do its work exits with 1 and one line that says why."""
    ended = run(*arguments)

    assert ended.returncode == 1
    assert says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says", "help_of"),
    [
        (["srve"], 'Unknown command "srve". Did you mean "serve"?', ""),
        (["serve", "--prot", "1"], "Unknown option: --prot. Did you mean --port?", " serve"),
        (["prune"], "--days requires an argument", " prune"),
        (["hold", "add", "--reason", "why"], "RUN requires an argument", " hold add"),
        (["hold", "add", "--run", "one", "--reason", "why"], "Unknown option: --run", " hold add"),
        (["prune", "--days", "1", "--no-dry-run"], "Unknown option: --no-dry-run", " prune"),
    ],
)
def test_wrong_usage_is_one_line(run: Run, arguments: list[str], says: str, help_of: str) -> None:
    """Wrong usage exits with 2, and its line names the command whose help explains it."""
    ended = run(*arguments)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("prefactor-server: ")
    assert says in ended.stderr
    assert ended.stderr.endswith(f" See prefactor-server{help_of} --help\n")
    assert ended.stderr.count("\n") == 1


def test_a_backup_is_restored(server: LiveServer, run: Run, tmp_path: Path) -> None:
    """A server on a backup gives the answers of the time when it was taken."""
    copy = tmp_path / "copy.db"
    made = run("backup", str(copy))
    assert made.returncode == 0, made.stderr
    paths = ["/api/v1/agent_instance", "/api/v1/agent_spans?agent_instance_id=one", "/api/v1/agent"]
    before = [ask(server, "GET", path).body for path in paths]
    register(server, "too-late")
    server.stop()

    # As in the how-to guide: the old files are removed, and the copy takes their place.
    for left in tmp_path.glob("server.db*"):
        left.unlink()
    copy.rename(tmp_path / "server.db")
    restored = start_server(tmp_path)
    after = [ask(restored, "GET", path).body for path in paths]
    late = status(restored, "too-late")
    replay = ask(restored, "POST", "/api/v1/bulk", bulk_of_spans("one", 0, 4)).body["outputs"]
    restored.stop()

    assert after == before
    assert late == 404
    assert {output["code"] for output in replay.values()} == {"idempotency_key_already_used"}
    assert run("verify").returncode == 0


def test_every_setting_is_shown_with_its_source(run: Run) -> None:
    """Settings come from flags, variables or the table, and secrets are not shown."""
    shown = run(
        *("config", "show", "--port", "9000"),
        PREFACTOR_DATABASE="postgresql://someone:the-password@db/prefactor",
        PREFACTOR_READ_DATABASE="postgresql://standby/prefactor?user=a&password=the-password",
        PREFACTOR_BOOTSTRAP_TOKEN="the-bootstrap-token",
        PREFACTOR_METRICS="no",
    ).stdout
    rows = {
        cells[0]: cells[1:]
        for line in shown.splitlines()
        if len(cells := re.split(r" {3,}", line.rstrip())) == 3
    }

    assert rows["port"] == ["9000", "--port"]
    assert rows["metrics"] == ["false", "PREFACTOR_METRICS"]
    assert rows["host"] == ["127.0.0.1", "default"]
    assert rows["bootstrap_token"] == ["(hidden)", "PREFACTOR_BOOTSTRAP_TOKEN"]
    assert rows["database"] == ["postgresql://someone:...@db/prefactor", "PREFACTOR_DATABASE"]
    assert rows["read_database"][0] == "postgresql://...@standby/prefactor"
    assert "the-password" not in shown
    assert "the-bootstrap-token" not in shown


def test_an_unusable_setting_is_named(run: Run) -> None:
    """A setting that would keep a server from starting is refused here too."""
    ended = run("config", "show", PREFACTOR_PORT="many")

    assert (ended.returncode, "PREFACTOR_PORT must be a whole number" in ended.stderr) == (1, True)
