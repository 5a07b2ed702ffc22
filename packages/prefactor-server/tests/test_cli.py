"""The command line, as its operator uses it: real processes, real files, real signals."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from backends import rows

PROGRAM = Path(sys.executable).parent / "prefactor-server"
TOKEN = "a-token-of-the-command-line-tests"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Server:
    """A ``serve`` process, and requests to it."""

    def __init__(
        self, folder: Path, *flags: str, token: str = TOKEN, database: Mapping[str, str]
    ) -> None:
        self.ready = folder / "ready"
        self.errors = folder / "errors"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--port", "0", "--ready-file", self.ready, *flags],
                cwd=folder,
                env=environment(PREFACTOR_BOOTSTRAP_TOKEN=token, **database),
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def wait_until_ready(self) -> None:
        """Return when the server answers or has ended."""
        while self.process.poll() is None:
            if self.ready.exists() and self._pid_in_ready_file() == self.process.pid:
                return
            time.sleep(0.02)

    def _pid_in_ready_file(self) -> int | None:
        try:
            pid: int = json.loads(self.ready.read_text())["pid"]
        except FileNotFoundError:
            return None
        return pid

    @property
    def said(self) -> str:
        """Return what the server printed."""
        return self.errors.read_text()

    def request(self, method: str, path: str, body: object = None, token: str = TOKEN) -> Any:
        """The status and the JSON of an answer."""
        address = json.loads(self.ready.read_text())["url"].removeprefix("http://")
        connection = http.client.HTTPConnection(address)
        headers = {"Authorization": f"Bearer {token}"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        connection.close()
        return answer.status, document

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal, and return its exit status."""
        self.process.send_signal(by)
        return self.process.wait(30)


@pytest.fixture
def database() -> dict[str, str]:
    """The setting of the database: unset, so that it is a file in the folder."""
    return {}


@pytest.fixture
def serve(tmp_path: Path, database: dict[str, str]) -> Iterator[Callable[..., Server]]:
    """Start servers in ``tmp_path``; those still running at the end are killed."""
    started: list[Server] = []

    def start(*flags: str, token: str = TOKEN) -> Server:
        started.append(Server(tmp_path, *flags, token=token, database=database))
        started[-1].wait_until_ready()
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@pytest.fixture
def run(tmp_path: Path, database: dict[str, str]) -> Run:
    """Run a command in ``tmp_path`` to its end."""

    def command(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [PROGRAM, *arguments],
            cwd=tmp_path,
            env=environment(**{**database, **variables}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of the server but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFACTOR_")}
    return {**kept, "COLUMNS": "200", **variables}


def test_a_new_database_gets_a_token_that_is_printed_once(serve: Callable[..., Server]) -> None:
    """The first start prints two variables that work, and the second prints no token."""
    first = serve(token="")
    token = re.search(r"export PREFACTOR_API_TOKEN=(pf_account_\S+)", first.said)
    assert token is not None
    assert f"export PREFACTOR_API_URL={json.loads(first.ready.read_text())['url']}" in first.said
    assert first.request("GET", "/api/v1/ping", token=token.group(1))[0] == 200
    assert first.stop() == 0

    second = serve(token="")
    assert "pf_account_" not in second.said
    assert "pf_link_" not in first.said + second.said
    assert second.request("GET", "/api/v1/ping", token=token.group(1))[0] == 200


def test_a_token_that_the_operator_chose_is_not_printed(serve: Callable[..., Server]) -> None:
    """PREFACTOR_BOOTSTRAP_TOKEN works as the account token and appears in no output."""
    server = serve()
    assert server.request("GET", "/api/v1/ping")[0] == 200
    assert TOKEN not in server.said
    assert "A new database" not in server.said


def test_a_misspelt_variable_is_reported(run: Run) -> None:
    """A variable that is almost a setting's is reported, also when another setting is wrong."""
    ended = run("serve", PREFACTOR_LOG_REQUEST="true", PREFACTOR_PORT="70000")

    hint, error = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert hint.startswith("PREFACTOR_LOG_REQUEST is not a setting and has no effect.")
    assert hint.endswith("Did you mean PREFACTOR_LOG_REQUESTS?")
    assert error == "prefactor-server: PREFACTOR_PORT must be 0 to 65535, got 70000"


def test_an_unknown_bootstrap_token_is_reported(
    serve: Callable[..., Server],
) -> None:
    """A bootstrap token that the database does not know is reported and does not work."""
    serve().stop()
    server = serve(token="another-token-that-came-too-late")
    assert "PREFACTOR_BOOTSTRAP_TOKEN is not a token of this database" in server.said
    status, body = server.request("GET", "/api/v1/ping", token="another-token-that-came-too-late")
    assert (status, body["code"]) == (401, "bad_authtoken")


def test_a_guessable_bootstrap_token_is_refused(run: Run) -> None:
    """A short bootstrap token ends the start with a message, before a database is made."""
    ended = run("serve", "--port", "0", PREFACTOR_BOOTSTRAP_TOKEN="short")
    assert ended.returncode == 1
    assert "at least 16" in ended.stderr


def test_a_guessable_secret_key_is_refused(run: Run, serve: Callable[..., Server]) -> None:
    """A short secret key ends the start before a database and a token are created."""
    ended = run("serve", "--port", "0", PREFACTOR_SECRET_KEY="short")
    assert ended.returncode == 1
    assert "secret_key must be at least 32 characters, got 5" in ended.stderr
    assert "pf_account_" in serve(token="").said


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_after_accepted_requests(
    serve: Callable[..., Server], by: signal.Signals
) -> None:
    """After SIGTERM or SIGINT the exit status is 0, and every acknowledged write is stored."""
    server = serve()
    server.request("POST", "/api/v1/agent", {"details": {"name": "kept", "id": "kept-1"}})
    assert server.stop(by) == 0
    assert serve().request("GET", "/api/v1/agent/kept-1")[0] == 200


def test_a_second_server_on_the_file_is_refused(serve: Callable[..., Server], run: Run) -> None:
    """A second server on the same file ends with a message that has the first one's pid."""
    server = serve()
    ended = run("serve", "--port", "0")
    assert ended.returncode == 1
    assert f"pid {server.process.pid}" in ended.stderr
    assert server.request("GET", "/api/v1/ping")[0] == 200


def test_the_database_is_private(serve: Callable[..., Server], tmp_path: Path) -> None:
    """Only the owner can read a new database and its other files."""
    serve().request("POST", "/api/v1/agent", {"details": {"name": "secret"}})
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("prefactor.db*")}
    assert set(modes) >= {"prefactor.db", "prefactor.db-wal", "prefactor.db.lock"}
    assert set(modes.values()) == {0o600}


def test_a_port_in_use_is_named(run: Run) -> None:
    """A port that is taken ends the start with a message that says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("serve", "--port", str(port))
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr
    assert "--port" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["serve", "--port", "0", "--database", "mysql://x"], {}, "--database must be sqlite:///"),
        (["serve", "--port", "0", "--database", "sqlite:///:memory:"], {}, "path of a file"),
        (
            ["serve", "--port", "0", "--database", "sqlite:///no/such/folder/x.db"],
            {},
            "create it first",
        ),
        (["serve"], {"PREFACTOR_PORT": "many"}, "PREFACTOR_PORT"),
        (["serve", "--port", "-1"], {}, "--port"),
        (["serve", "--port", "1_0"], {}, "--port must be a whole number"),
        (["token", "create", "--days", "-3"], {}, "--days must be 1 to 36500, got -3"),
        (["token", "create", "--days", "0"], {}, "--days must be 1 to 36500, got 0"),
        (["token", "create", "--days", "36501"], {}, "--days must be 1 to 36500"),
        (["token", "create", "--days", "9" * 400], {}, "--days must be a whole number"),
        (["token", "create", "--days", "1e3"], {}, "--days must be a whole number"),
        (["prune", "--days", "0.4"], {}, "--days must be a whole number"),
        (["prune", "--days", "36501"], {}, "--days must be 0 to 36500"),
        (["token", "list"], {}, "start the server once first"),
        (["token", "create"], {}, "start the server once first"),
    ],
)
def test_a_fixable_error_is_one_line(
    run: Run, arguments: list[str], variables: dict[str, str], says: str
) -> None:
    """A mistake that the operator can fix exits with 1 and one line on stderr, no traceback."""
    ended = run(*arguments, **variables)
    assert ended.returncode == 1
    assert says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_file_of_another_kind_is_refused_and_kept(run: Run, tmp_path: Path) -> None:
    """A file that is not a database is left unchanged."""
    (tmp_path / "notes.txt").write_text("my notes\n" * 500)
    ended = run("serve", "--port", "0", "--database", "sqlite:///notes.txt")
    assert ended.returncode == 1
    assert "notes.txt" in ended.stderr
    assert (tmp_path / "notes.txt").read_text() == "my notes\n" * 500


def test_migrate_has_a_dry_run(run: Run, tmp_path: Path) -> None:
    """A dry run changes nothing, a real run migrates, and a second run has nothing to do."""
    dry = run("migrate", "--dry-run")
    assert "would apply 0001 initial" in dry.stdout
    assert not (tmp_path / "prefactor.db").exists()
    assert "\napplied 0001 initial" in "\n" + run("migrate").stdout
    assert "up to date" in run("migrate").stdout
    assert "up to date" in run("migrate", "--dry-run").stdout


class TestTokens:
    """The token commands while a server runs, on each backend."""

    @pytest.fixture
    def database(self, database_url: str) -> dict[str, str]:
        """The setting of each backend."""
        return {"PREFACTOR_DATABASE": database_url}

    def test_tokens_are_made_and_listed_beside_a_running_server(
        self, serve: Callable[..., Server], run: Run
    ) -> None:
        """A token made while the server runs works at once; the list shows it without its text."""
        server = serve()
        made = run("token", "create")
        assert made.returncode == 0, made.stderr
        token = made.stdout.strip()
        assert server.request("GET", "/api/v1/ping", token=token)[0] == 200
        listed = run("token", "list").stdout
        assert token not in listed
        assert token[:16] in listed
        assert TOKEN[:8] not in listed
        ids = re.findall(r"[0-9a-z]{32}", listed)
        assert len(ids) == 2, "an id that is cut short is of no use"

    def test_a_deployment_token_is_bound_to_its_agent(
        self, serve: Callable[..., Server], run: Run
    ) -> None:
        """A deployment token made by the command registers runs of its agent and of no other."""
        server = serve()
        server.request("POST", "/api/v1/agent_instance/register", {"agent_id": "support"})
        made = run("token", "create", "--scope", "agent_deployment", "--agent", "support")
        assert made.returncode == 0, made.stderr
        token = made.stdout.strip()
        status, body = server.request("POST", "/api/v1/agent_instance/register", {}, token)
        assert status == 200
        assert body["details"]["status"] == "pending"
        other = server.request(
            "POST", "/api/v1/agent_instance/register", {"agent_id": "sales"}, token
        )
        assert (other[0], other[1]["code"]) == (403, "not_permitted")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--scope", "agent_deployment"], "agent_id is required"),
            (["--scope", "agent_deployment", "--agent", "nobody"], "'nobody' not found"),
            (["--agent", "support"], "not bound to an agent"),
            (["--environment", "staging"], "not bound to an environment"),
        ],
    )
    def test_an_inconsistent_token_is_refused(
        self, serve: Callable[..., Server], run: Run, arguments: list[str], says: str
    ) -> None:
        """A missing agent, an unknown agent, and an agent with the wrong scope are refused."""
        serve()
        ended = run("token", "create", *arguments)
        assert ended.returncode == 1
        assert says in ended.stderr
        assert ended.stdout == ""

    def test_a_token_is_suspended_and_activated(
        self, serve: Callable[..., Server], run: Run
    ) -> None:
        """Suspending, activating and revoking a token take effect on a running server at once."""
        server = serve("--token-cache-seconds", "0")
        token = run("token", "create").stdout.strip()
        token_id = server.request("GET", "/api/v1/api_token?sorting=-id")[1]["summaries"][0]["id"]
        seen: list[int] = []
        for move in ("suspend", "activate", "revoke"):
            moved = run("token", move, token_id)
            assert (moved.returncode, moved.stdout, moved.stderr) == (0, "", "")
            seen.append(server.request("GET", "/api/v1/ping", token=token)[0])
        assert seen == [401, 200, 401]
        assert "revoked" in run("token", "list").stdout

    @pytest.mark.parametrize(("move", "says"), [("activate", "is active"), ("revoke", "not found")])
    def test_an_impossible_status_change_is_refused(
        self, serve: Callable[..., Server], run: Run, move: str, says: str
    ) -> None:
        """A change that the status does not allow, and an unknown token, give one line."""
        listed = serve().request("GET", "/api/v1/api_token")[1]["summaries"]
        ended = run("token", move, listed[0]["id"] if move == "activate" else "nobody")
        assert ended.returncode == 1
        assert says in ended.stderr

    def test_a_token_with_days_expires(
        self, serve: Callable[..., Server], run: Run, database_url: str
    ) -> None:
        """A token works until it expires, and the list shows when that is."""
        server = serve("--token-cache-seconds", "0")
        token = run("token", "create", "--days", "1").stdout.strip()
        assert server.request("GET", "/api/v1/ping", token=token)[0] == 200
        rows(database_url, "UPDATE api_token SET expires_at = 1 WHERE expires_at IS NOT NULL")
        status, body = server.request("GET", "/api/v1/ping", token=token)
        assert (status, body["code"]) == (401, "bad_authtoken")
        assert "expired" in run("token", "list").stdout


def test_the_printed_document_is_the_served_one(serve: Callable[..., Server], run: Run) -> None:
    """``openapi`` prints what ``/api/v1/openapi`` answers."""
    status, served = serve().request("GET", "/api/v1/openapi")
    assert status == 200
    assert json.loads(run("openapi").stdout) == served


def test_the_ready_file_of_an_earlier_server_is_replaced(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """The next server replaces the ready file that a killed server left behind."""
    killed = serve()
    killed.process.kill()
    killed.process.wait()
    assert json.loads((tmp_path / "ready").read_text())["pid"] == killed.process.pid
    server = serve()
    assert json.loads((tmp_path / "ready").read_text())["pid"] == server.process.pid
    assert server.request("GET", "/api/v1/ping")[0] == 200


def test_the_secret_has_no_flag(run: Run) -> None:
    """The bootstrap token cannot be passed as a flag, where the process list would show it."""
    assert "--bootstrap-token" not in run("serve", "--help").stdout
    assert "--max-queue-bytes" in run("serve", "--help").stdout
