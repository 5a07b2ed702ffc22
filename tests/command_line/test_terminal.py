"""`prefactor` in a terminal, a pipe and a shell: its output, and errors in one line."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from certificates import self_signed, server_context
from command_line import HOSTILE, LARGE, PREFACTOR, Call, Ended, Recorded
from live_server import LiveServer

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Start a server of something else, which gives one answer to every request."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: str, *, certificate: Path | None = None) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        if certificate is not None:
            tls = server_context(certificate)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("runs", "show", "no-such-run"), 3, "There is no run 'no-such-run'"),
        (("spans", "show", "no-such-span"), 3, ""),
        (("agents", "show", "no-such-agent"), 3, "There is no agent 'no-such-agent'"),
        (("runs", "list", "--agent", "no-such-agent"), 3, "There is no agent 'no-such-agent'"),
        (("search", "txt", "--agent", "no-such-agent"), 3, "There is no agent 'no-such-agent'"),
        (("runs", "list", "--environment", "Nowhere"), 3, "no 'Nowhere', only 'Default'"),
        (("runs", "list", "--agent", "polite-agent", "--version", "v9"), 3, "has no version 'v9'"),
        (("tokens", "revoke", "no-such-token"), 3, ""),
        (("runs", "list", "--since", "soon"), 2, "--since: 'soon' is not a time"),
        (("runs", "list", "--min-duration", "3x"), 2, "--min-duration: '3x' is not a duration"),
        (("runs", "list", "--metadata", "release"), 2, "must be KEY=TEXT"),
        (
            ("runs", "list", "--metadata", "a=b", "--metadata", "a=c"),
            2,
            "one text in a run, and two were given",
        ),
        (("runs", "list", "--status", "open"), 2, 'Choose from: "pending"'),
        (("runs", "list", "--limit", "0"), 2, "--limit"),
        (("runs", "list", "--token", "secret"), 2, "Unknown option: --token"),
        (("runs", "terminate", "x"), 2, "--reason"),
        (("runs", "terminate"), 2, "Give RUN, or filters"),
        (("runs", "terminate", "x", "--abandoned"), 2, "not both"),
        (("runs", "terminate", "--status", "failed", "--dry-run"), 2, "only active runs"),
        (("runs", "lost"), 2, 'Unknown command "lost"'),
        (("search",), 2, "WORDS"),
        (("runs", "list", "--url", "http://127.0.0.1:9"), 5, "Cannot reach http://127.0.0.1:9"),
        (("runs", "list", "--url", "http://no-such-host.invalid"), 5, ".invalid: "),
        (("runs", "list", "--url", "example.org"), 2, "must begin with http"),
        (("runs", "list", "--url", "http://127.0.0.1:99999"), 2, "a host and perhaps a port"),
        *(
            (("runs", "list", "--url", url), 2, f"a host and perhaps a port, got '{url}'")
            for url in ("ftp://h", "http://", "http://:80", "http://h:0", "http://h:no", "http://[")
        ),
        (("runs", "list", "--token-file", "/no/such/file"), 2, "cannot read /no/such/file"),
        (("tokens", "create", "--agent", "polite-agent"), 2, "--environment: is required"),
        (("tokens", "create", "--expires-in", f"{10**15}d"), 2, "beyond the year 9999"),
        (("tokens", "create", "--expires-in", "9999999d"), 2, "beyond the year 9999"),
        (("webhooks", "rotate", "x", "--overlap-hours", "nan"), 2, "Must be a finite number"),
        (("runs", "list", "--external-id", "\udcff"), 2, "unpaired surrogates"),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(
    prefactor: Call, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """The only output is one line on standard error that says what is wrong."""
    failed = prefactor(*arguments)

    assert (failed.code, failed.out) == (code, "")
    assert failed.err.startswith("prefactor: ")
    assert failed.err.count("\n") == 1
    assert says in failed.err


def test_an_https_url_of_a_server_without_tls_is_explained(
    prefactor: Call, recorded: Recorded
) -> None:
    """The message says that TLS failed, and which URL a server without TLS has."""
    failed = prefactor("runs", "list", "--url", recorded.server.url.replace("http", "https"))

    assert failed.code == 5
    assert "TLS failed" in failed.err
    assert "begins with http://" in failed.err


def test_an_untrusted_certificate_is_explained(
    prefactor: Call, answering: Callable[..., str], tmp_path: Path
) -> None:
    """The message says that the certificate is not trusted, why, and what to do."""
    url = answering(200, "", certificate=self_signed(tmp_path / "certificate.pem"))

    failed = prefactor("runs", "list", "--url", url)

    assert failed.code == 5
    assert f"Cannot reach {url}: its certificate is not trusted (self" in failed.err
    assert "set SSL_CERT_FILE" in failed.err


@pytest.mark.parametrize("path", ["/api/v1", "/prefactor"])
def test_a_url_with_a_wrong_path_is_not_a_missing_run(
    prefactor: Call, recorded: Recorded, path: str
) -> None:
    """A script can distinguish a wrong URL from a run that does not exist."""
    failed = prefactor("runs", "show", "x", "--url", recorded.server.url + path)

    assert failed.code == 2
    assert f"The API is not at {recorded.server.url}{path}: There is nothing at" in failed.err


@pytest.mark.parametrize(("status", "body"), [(200, "<html>"), (404, "<html>"), (404, "")])
def test_another_service_is_not_taken_for_the_api(
    prefactor: Call, answering: Callable[..., str], status: int, body: str
) -> None:
    """A page of HTML, with any status, is reported as a wrong URL."""
    url = answering(status, body)

    failed = prefactor("runs", "list", "--url", url)

    assert failed.code == 2
    assert f"The API is not at {url}: " in failed.err
    assert "/api/v1 is added" in failed.err


@pytest.mark.parametrize(
    ("command", "says"),
    [("list", "There are no webhooks.\n"), ("deliveries", "No delivery matches.\n")],
)
def test_an_empty_list_says_so(prefactor: Call, command: str, says: str) -> None:
    """A person is told on standard error; a program gets no line."""
    assert prefactor("webhooks", command) == Ended(0, "", says)
    assert prefactor("webhooks", command, "--json") == Ended(0, "", "")


def test_a_closed_standard_output_is_an_error() -> None:
    """A command whose standard output is closed does nothing and exits with an error."""
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", PREFACTOR, "agents", "list"]

    ended = subprocess.run(closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert ended.stderr == "prefactor: standard output is closed: redirect it to a file\n"


def test_a_missing_or_wrong_token_is_reported(
    prefactor: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both exit with 4, and the message contains no token."""
    monkeypatch.setenv("PREFACTOR_API_TOKEN", "a-token-that-nobody-ever-made")
    wrong = prefactor("runs", "list")
    monkeypatch.delenv("PREFACTOR_API_TOKEN")
    missing = prefactor("runs", "list")

    assert (wrong.code, missing.code) == (4, 4)
    assert "a-token-that" not in wrong.err
    assert "PREFACTOR_API_TOKEN is not set" in missing.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "list"),
        ("runs", "list", "--json"),
        ("runs", "show", "FAILED"),
        ("runs", "export", "FAILED"),
        ("runs", "tail", "FAILED"),
        ("spans", "show", "hostile-span"),
        ("spans", "show", "hostile-span", "--json"),
        ("agents", "list"),
        ("search", "txt"),
    ],
)
def test_no_text_controls_the_terminal(
    prefactor: Call, recorded: Recorded, arguments: tuple[str, ...]
) -> None:
    """Control characters and marks that reorder text are not printed; JSON keeps their values."""
    shown = prefactor(*(recorded.failed if each == "FAILED" else each for each in arguments))

    assert shown.code == 0
    assert OBEYED.findall(shown.out + shown.err) == []
    if "--json" in arguments and "spans" in arguments:
        assert json.loads(shown.out)["payload"]["text"] == HOSTILE


def on_terminal(server: LiveServer, columns: int, *arguments: str, **variables: str) -> str:
    """Run the command on a terminal of that width; return its output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: text for name, text in server.environment.items() if name != "COLUMNS"}
    child = subprocess.Popen(
        [PREFACTOR, *arguments],
        env={**environment, "TERM": "xterm-256color", **variables},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    with suppress(OSError):  # the end of a terminal
        while piece := os.read(ours, 65536):
            printed += piece
    os.close(ours)
    assert child.wait() == 0
    return printed.decode()


def test_a_terminal_has_colours_and_whole_ids(recorded: Recorded) -> None:
    """On a narrow terminal names are cut and ids are not; `NO_COLOR` leaves out the colours."""
    coloured = on_terminal(recorded.server, 60, "runs", "list")
    plain = on_terminal(recorded.server, 60, "runs", "list", NO_COLOR="1")

    assert "\x1b[32mcomplete\x1b[0m" in coloured
    assert "\x1b" not in plain
    for run_id in (recorded.complete, recorded.failed, recorded.active):
        assert run_id in coloured
        assert run_id in plain


def test_a_closed_pipe_is_quiet(recorded: Recorded) -> None:
    """When its reader is gone, the command ends without a message."""
    piped = 'set -o pipefail; "$0" runs export "$1" | true'
    ended = subprocess.run(
        ["bash", "-c", piped, PREFACTOR, LARGE],
        env=recorded.server.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (141, "")


def test_output_that_cannot_be_written_is_an_error(recorded: Recorded) -> None:
    """A full disk behind standard output gives one line and exit code 1."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ended = subprocess.run(
            [PREFACTOR, "runs", "list"],
            env=recorded.server.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert ended.returncode == 1
    assert ended.stderr == "prefactor: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(prefactor: Call, shell: str) -> None:
    """Each shell gets a script that names the commands."""
    script = prefactor("completion", shell)

    assert script.code == 0
    assert {"terminate", "export", "--status"} <= {*re.findall(r"[\w-]+", script.out)}


def test_bash_completes_commands_and_choices() -> None:
    """Tab completes the name of a command, and the values of an option."""
    script = (
        'eval "$("$0" completion bash)"; '
        'COMP_WORDS=(prefactor runs te); COMP_CWORD=2; _prefactor; echo "${COMPREPLY[@]}"; '
        "COMP_WORDS=(prefactor runs list --status fa); COMP_CWORD=4; COMPREPLY=(); _prefactor; "
        'echo "${COMPREPLY[@]}"'
    )
    ended = subprocess.run(
        ["bash", "-c", script, PREFACTOR], capture_output=True, text=True, check=False
    )

    assert (ended.stdout, ended.stderr) == ("terminate\nfailed\n", "")


def test_help_does_not_load_the_client() -> None:
    """Help, wrong usage and the version import neither the client nor aiohttp."""
    program = (
        "import sys; from prefactor_cli.main import run; "
        "[run(words.split()) for words in ('--help', 'runs --help', 'nonsense', '--version')]; "
        "print({'aiohttp', 'pydantic', 'prefactor_http'} & sys.modules.keys(), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ended.stderr.splitlines()[-1] == "set()"


def test_help_of_a_command_is_complete() -> None:
    """A command that is a function shows its whole description, not only its line in the list."""
    ended = subprocess.run(
        [PREFACTOR, "search", "--help"], capture_output=True, text=True, check=True
    )

    assert "Find runs with a span that contains all of these words" in ended.stdout
    assert "also matches as the beginning of a longer word" in " ".join(ended.stdout.split())


@pytest.mark.parametrize("module", ["cyclopts", "asyncio"])
def test_ctrl_c_at_the_start_is_quiet(tmp_path: Path, module: str) -> None:
    """Ctrl-C while modules load ends the command with 130 and no traceback."""
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt")
    ended = subprocess.run(
        [sys.executable, "-m", "prefactor_cli", "runs", "list"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_an_invalid_value_is_reported_once(prefactor: Call) -> None:
    """A message of the server that names the field is not followed by the field's own."""
    refused = prefactor("runs", "list", "--min-cost", "-1")

    assert refused.code == 2
    assert refused.err.count("must be an amount") == 1
