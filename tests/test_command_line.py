"""`prefactor` as people and scripts use it: against a real server, its output read as it is."""

import asyncio
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from live_server import PROGRAM, LiveServer, start_server
from patience import patience
from prefactor_cli.main import run
from prefactor_http import AgentInstance, HttpClientConfig, PrefactorHttpClient

PREFACTOR = PROGRAM.with_name("prefactor")
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202etxt.exe\u2066\x9b31m"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LARGE = "large-run"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, object]]:
        """The JSON objects that it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Recorded:
    """A server with runs: one that went well, one that failed, one that is active, a large one."""

    server: LiveServer
    complete: str
    failed: str
    active: str


async def record(client: PrefactorHttpClient) -> tuple[str, str, str]:
    """Record the runs, one of them with two pages of spans; return the ids of the first three."""
    good = await client.agent_instances.register(
        "polite-agent",
        {"name": "Polite", "external_identifier": "v1"},
        {
            "external_identifier": "s1",
            "span_type_schemas": [
                {"name": "tool:say", "params_schema": {}, "template": "says {{ word }}"}
            ],
            "quality_schemas": [{"name": "helpful", "schema": {}, "template": "{{ score }}"}],
        },
        external_identifier="polite-1",
        metadata={"release": "v7"},
    )
    await client.agent_instances.start(good.id, NOON)
    await client.agent_spans.create(
        good.id,
        "tool:say",
        "complete",
        {"word": "marmalade"},
        {"heard": True},
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=1),
    )
    await client.agent_instances.finish(good.id, timestamp=NOON + timedelta(seconds=90))
    await client.agent_instances.record_quality(good.id, "helpful", {"score": 0.5})

    bad = await client.agent_instances.register(
        "hostile-agent", {"name": HOSTILE, "external_identifier": "v1"}, {}
    )
    await client.agent_instances.start(bad.id)
    await client.agent_spans.create(
        bad.id,
        "tool:break",
        "failed",
        {"text": HOSTILE, "error": {"error_type": HOSTILE, "message": f"{HOSTILE}\n{HOSTILE}"}},
        id="hostile-span",
    )
    await client.agent_instances.finish(bad.id, "failed")

    active = await client.agent_instances.register("polite-agent", {"external_identifier": "v2"})
    await client.agent_instances.start(active.id)

    large = await client.agent_instances.register("large-agent", {}, {}, id=LARGE)
    await client.agent_instances.start(large.id)
    await asyncio.gather(
        *(
            client.agent_spans.create(large.id, "step", "complete", {"n": n, "fill": "x" * 1000})
            for n in range(120)
        )
    )
    await client.agent_instances.finish(large.id)
    return good.id, bad.id, active.id


async def _record(server: LiveServer) -> tuple[str, str, str]:
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        return await record(client)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A server with known runs, which all tests here share: they change nothing of these."""
    server = start_server(tmp_path_factory.mktemp("command-line"))
    yield Recorded(server, *asyncio.run(_record(server)))
    server.stop()


Call = Callable[..., Ended]


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


def process(server: LiveServer, *arguments: str) -> subprocess.Popen[str]:
    """Start the command as a process of its own."""
    return subprocess.Popen(
        [PREFACTOR, *arguments],
        env=server.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def once(server: LiveServer, name: str, *arguments: object, **named: object) -> AgentInstance:
    """Call one method of `client.agent_instances`."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        return await getattr(client.agent_instances, name)(*arguments, **named)


async def one_run(server: LiveServer, agent: str) -> str:
    """Begin a run and return its id."""
    run_id = (await once(server, "register", agent, {}, {})).id
    await once(server, "start", run_id)
    return run_id


# --- Lists ----------------------------------------------------------------------------------------


def test_runs_are_listed(prefactor: Call, recorded: Recorded) -> None:
    """The list names status, agent, whole ids and what went wrong; what is left out is told."""
    listed = prefactor("runs", "list")

    assert listed.code == 0
    titles, *rows = listed.out.splitlines()
    assert titles.split() == [
        *("status", "agent", "run", "duration", "spans", "failed", "risk", "started"),
        *("external", "id"),
    ]
    assert {row.split()[0] for row in rows} == {"active", "complete", "failed"}
    assert re.search(
        rf"^complete +Polite +{recorded.complete} +1 min 30 s +1 ", listed.out, re.MULTILINE
    )
    assert listed.err == ""

    short = prefactor("runs", "list", "--agent", "polite-agent", "--limit", "1")
    assert len(short.out.splitlines()) == 2
    assert short.err == "Showing 1 of 2 runs. --limit N shows more, --all shows all.\n"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (("--status", "failed"), {"failed"}),
        (("--agent", "polite-agent"), {"complete", "active"}),
        (("--agent", "polite-agent", "--version", "v1"), {"complete"}),
        (("--environment", "Default", "--status", "active", "--agent", "polite-agent"), {"active"}),
        (("--since", "1h", "--failed-spans"), {"failed"}),
        (("--no-failed-spans", "--until", "2026-01-02"), {"complete"}),
        (("--min-duration", "1m", "--max-duration", "2m"), {"complete"}),
        (("--ended-since", "2026-01-01", "--ended-until", "2026-01-02"), {"complete"}),
        (("--metadata", "release=v7"), {"complete"}),
        (("--external-id", "polite-1"), {"complete"}),
        (("--purpose", "eval"), set()),
        (("--span-type", "tool:break"), {"failed"}),
        (("--text", "marmalade"), {"complete"}),
        (("--sort", "-inserted_at", "--all", "--agent", "polite-agent"), {"complete", "active"}),
    ],
)
def test_filters_leave_the_runs_that_pass(
    prefactor: Call, recorded: Recorded, filters: tuple[str, ...], found: set[str]
) -> None:
    """Each filter of the API is a flag, and names do where the API wants ids."""
    deadline = time.monotonic() + patience(10)
    while True:
        listed = prefactor("runs", "list", "--json", *filters)
        # Span types and texts are found a moment after they were recorded.
        names = {getattr(recorded, name): name for name in ("complete", "failed", "active")}
        got = {names[str(one["id"])] for one in listed.objects}
        if got == found or time.monotonic() > deadline:
            break
        time.sleep(0.05)

    assert (listed.code, got) == (0, found)


def test_words_are_searched(prefactor: Call, recorded: Recorded) -> None:
    """A search shows each run with the span that has the words, and the text around them."""
    found = prefactor("search", "marmal")

    assert found.code == 0
    assert recorded.complete in found.out
    assert re.search(r"^    \w+  .*marmalade", found.out, re.MULTILINE)
    assert prefactor("search", "nothing-has-this").err == "No run matches.\n"


def test_agents_are_listed_and_shown(prefactor: Call) -> None:
    """Agents are found by their external identifier, and shown with the number of their runs."""
    listed = prefactor("agents", "list").out
    assert re.search(r"^\w+ +Polite +\w+ +polite-agent ", listed, re.MULTILINE)
    shown = prefactor("agents", "show", "polite-agent")
    assert re.search(r"^runs +2 \(1 active, 1 complete\)$", shown.out, re.MULTILINE)
    assert json.loads(prefactor("agents", "show", "polite-agent", "--json").out)["name"] == "Polite"


# --- One run --------------------------------------------------------------------------------------


def test_a_run_is_shown_by_id_or_name(prefactor: Call, recorded: Recorded) -> None:
    """A run is a tree below its facts, whichever of its two identifiers finds it."""
    shown = prefactor("runs", "show", recorded.complete)

    assert shown.code == 0
    assert shown.out.splitlines()[:5] == [
        "Polite, version v1",
        f"run {recorded.complete}: complete in 1 min 30 s, 1 span (1 complete)",
        "external id polite-1",
        "metadata release=v7",
        "quality helpful: 0.5",
    ]
    assert re.fullmatch(r"└─ ✓ tool:say  says marmalade +1\.0 s", shown.out.splitlines()[5])
    assert prefactor("runs", "show", "polite-1").out == shown.out
    assert (
        json.loads(prefactor("runs", "show", "polite-1", "--json").out)["id"] == recorded.complete
    )


def test_the_page_of_a_run_is_named(prefactor: Call, recorded: Recorded) -> None:
    """Where there is no browser, the address of the page is printed."""
    assert prefactor("open", "polite-1").out == f"{recorded.server.url}/#/run/{recorded.complete}\n"


def test_the_latest_run_is_the_default(prefactor: Call) -> None:
    """Without an id, the run that was registered last is shown and opened."""
    (latest,) = prefactor(
        "runs", "list", "--sort", "-inserted_at", "--limit", "1", "--json"
    ).objects

    assert json.loads(prefactor("runs", "show", "--json").out)["id"] == latest["id"]
    assert prefactor("open", "--print").out.endswith(f"/#/run/{latest['id']}\n")


def of_type(lines: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The lines of an export that have a type."""
    return [line for line in lines if line["type"] == name]


def test_an_export_is_complete(prefactor: Call, recorded: Recorded, tmp_path: Path) -> None:
    """It has the run with its span and quality, between its first and last line, also in a file."""
    exported = prefactor("runs", "export", recorded.complete)
    lines = exported.objects

    assert (lines[0]["type"], lines[-1]["type"]) == ("export", "export_end")
    assert [one["id"] for one in of_type(lines, "agent_instance")] == [recorded.complete]
    (span,) = of_type(lines, "agent_span")
    assert (span["payload"], span["result_payload"]) == ({"word": "marmalade"}, {"heard": True})
    (quality,) = of_type(lines, "agent_instance_quality")
    assert quality["document"]["helpful"]["payload"] == {"score": 0.5}
    file = tmp_path / "run.jsonl"
    assert prefactor("runs", "export", "polite-1", "-o", str(file)).code == 0
    assert file.read_text(encoding="utf-8") == exported.out
    assert [*tmp_path.iterdir()] == [file]

    traces = json.loads(prefactor("runs", "export", "polite-1", "--format", "otlp").out)
    spans = [
        one
        for resource in traces["resourceSpans"]
        for scope in resource["scopeSpans"]
        for one in scope["spans"]
    ]
    known = {"key": "prefactor.id", "value": {"stringValue": span["id"]}}
    assert [known in one["attributes"] for one in spans] == [True]


def test_a_failed_export_leaves_no_file(recorded: Recorded, tmp_path: Path) -> None:
    """Where the disk refuses more, the earlier file is untouched and nothing partial remains."""
    file = tmp_path / "run.jsonl"
    file.write_text("earlier\n", encoding="utf-8")
    limited = 'ulimit -f 1; exec "$0" runs export "$1" --output "$2"'

    ended = subprocess.run(
        ["bash", "-c", limited, PREFACTOR, LARGE, file],
        env=recorded.server.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1, ended.stderr
    assert ended.stderr == f"prefactor: --output: cannot write {file}: File too large\n"
    assert file.read_text(encoding="utf-8") == "earlier\n"
    assert [*tmp_path.iterdir()] == [file]


def test_all_pages_are_read(prefactor: Call, recorded: Recorded) -> None:
    """An export has the spans of every page, and the tree says how many it leaves out."""
    lines = prefactor("runs", "export", LARGE).objects
    spans = of_type(lines, "agent_span")
    assert sorted(line["payload"]["n"] for line in spans) == [*range(120)]

    shown = prefactor("runs", "show", LARGE, "--limit", "5")
    assert len(shown.out.splitlines()) == 2 + 5, shown.out
    assert shown.err == "Showing 5 of 120 spans. --all shows all.\n"


# --- Following ------------------------------------------------------------------------------------


def test_a_run_is_followed_to_its_end(serve: Callable[..., LiveServer], tmp_path: Path) -> None:
    """Lines come as it happens, once each although the server restarts, and end with the run."""
    server = serve(tmp_path / "server")
    run_id = asyncio.run(one_run(server, "followed-agent"))
    asyncio.run(step(server, run_id, "before"))
    tail = process(server, "runs", "tail", run_id, "--exit-status")
    assert tail.stdout is not None
    assert "✓ before" in tail.stdout.readline()

    port = int(server.url.rpartition(":")[2])
    server.kill()
    again = serve(tmp_path / "server", port=port)
    asyncio.run(step(again, run_id, "after"))
    assert "✓ after" in tail.stdout.readline()
    asyncio.run(once(again, "finish", run_id, "failed"))

    out, err = tail.communicate()
    assert re.fullmatch(rf"run {run_id} failed in .+, 2 spans\n", out)
    assert err == ""
    assert tail.returncode == 1


async def step(server: LiveServer, run_id: str, name: str) -> None:
    """Record a span."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        await client.agent_spans.create(run_id, name, "complete", {})


def test_following_everything_ends_with_ctrl_c(recorded: Recorded) -> None:
    """Runs of an agent are told as objects, and Ctrl-C ends it with 130 and no traceback."""
    asyncio.run(one_run(recorded.server, "watched-agent"))
    tail = process(recorded.server, "runs", "tail", "--json", "--agent", "watched-agent")
    assert tail.stdout is not None
    assert tail.stderr is not None
    assert tail.stderr.readline() == "Following runs; Ctrl-C ends it.\n"
    run_id = asyncio.run(one_run(recorded.server, "watched-agent"))
    told = json.loads(tail.stdout.readline())
    assert (told["type"], told["id"]) == ("agent_instance", run_id)

    tail.send_signal(signal.SIGINT)
    out, err = tail.communicate()

    assert tail.returncode == 130
    assert "Traceback" not in out + err


# --- Terminating ----------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A standard input with somebody at it."""

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
    """On either database: list it, decline, terminate it, and export what it was told."""
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
    assert declined.err.endswith("Nothing was done.\n")
    stopped = call(*stop, said="y\n")
    assert (stopped.code, stopped.out) == (
        0,
        f"terminated {run_id}: its agent is told with the next span it sends\n",
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


def test_nothing_is_terminated_without_an_answer(prefactor: Call, recorded: Recorded) -> None:
    """Where nobody can be asked, --yes is needed."""
    refused = prefactor("runs", "terminate", recorded.active, "--reason", "x")

    assert refused.code == 2
    assert refused.err == (
        "prefactor: Nobody can be asked, because standard input is no terminal: give --yes\n"
    )
    assert prefactor("runs", "terminate", recorded.active, "--reason", " ", "--yes").code == 2


# --- Tokens ---------------------------------------------------------------------------------------


def test_a_token_lives_and_ends(
    prefactor: Call, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A new token alone is on standard output; it works until it is suspended or revoked."""
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


def test_the_token_of_an_agent_may_not_administer(
    prefactor: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that the token has no right to ends with 4, and says which right it needs."""
    made = prefactor("tokens", "create", "--agent", "polite-agent", "--environment", "Default")
    monkeypatch.setenv("PREFACTOR_API_TOKEN", made.out.strip())

    refused = prefactor("tokens", "list")

    assert refused.code == 4
    assert refused.err.startswith("prefactor: Not permitted: ")
    assert refused.err.count("\n") == 1


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("runs", "show", "no-such-run"), 3, "There is no run 'no-such-run'"),
        (("spans", "show", "no-such-span"), 3, ""),
        (("agents", "show", "no-such-agent"), 3, "There is no agent 'no-such-agent'"),
        (("runs", "list", "--environment", "Nowhere"), 3, "no 'Nowhere', only 'Default'"),
        (("runs", "list", "--agent", "polite-agent", "--version", "v9"), 3, "has no version 'v9'"),
        (("tokens", "revoke", "no-such-token"), 3, ""),
        (("runs", "list", "--since", "soon"), 2, "--since: 'soon' is no moment"),
        (("runs", "list", "--min-duration", "3x"), 2, "--min-duration: '3x' is no duration"),
        (("runs", "list", "--metadata", "release"), 2, "must be KEY=TEXT"),
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
        (("runs", "list", "--url", "example.org"), 2, "must begin with http"),
        (("runs", "list", "--token-file", "/no/such/file"), 2, "cannot read /no/such/file"),
        (("tokens", "create", "--agent", "polite-agent"), 2, "--environment: is needed"),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(
    prefactor: Call, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """Nothing is printed but one line on standard error, which says what is wrong."""
    failed = prefactor(*arguments)

    assert (failed.code, failed.out) == (code, "")
    assert failed.err.startswith("prefactor: ")
    assert failed.err.count("\n") == 1
    assert says in failed.err


def test_a_caller_without_a_token_is_told(prefactor: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong token and none at all end with 4, and neither line holds a token."""
    monkeypatch.setenv("PREFACTOR_API_TOKEN", "a-token-that-nobody-ever-made")
    wrong = prefactor("runs", "list")
    monkeypatch.delenv("PREFACTOR_API_TOKEN")
    missing = prefactor("runs", "list")

    assert (wrong.code, missing.code) == (4, 4)
    assert "a-token-that" not in wrong.err
    assert "PREFACTOR_API_TOKEN is not set" in missing.err


# --- Terminals, pipes and shells ------------------------------------------------------------------


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
def test_no_text_steers_the_terminal(
    prefactor: Call, recorded: Recorded, arguments: tuple[str, ...]
) -> None:
    """Control characters and marks that reorder text are not printed; JSON keeps their values."""
    shown = prefactor(*(recorded.failed if each == "FAILED" else each for each in arguments))

    assert shown.code == 0
    assert OBEYED.findall(shown.out + shown.err) == []
    if "--json" in arguments and "spans" in arguments:
        assert json.loads(shown.out)["payload"]["text"] == HOSTILE


def on_terminal(server: LiveServer, columns: int, *arguments: str, **variables: str) -> str:
    """Run the command on a terminal so wide; what it printed."""
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
    """A reader that has left ends the command without a word."""
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
    """A full disk behind standard output ends in one line and exit code 1."""
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
    """Help, wrong usage and the version answer without importing the client or aiohttp."""
    program = (
        "import sys; from prefactor_cli.main import run; "
        "[run(words.split()) for words in ('--help', 'runs --help', 'nonsense', '--version')]; "
        "print({'aiohttp', 'pydantic', 'prefactor_http'} & sys.modules.keys(), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ended.stderr.splitlines()[-1] == "set()"


# --- Quality --------------------------------------------------------------------------------------


async def judge(server: LiveServer, version: str, *scores: float | None) -> None:
    """Record runs of a version with these scores, or without one."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        for score in scores:
            one = await client.agent_instances.register(
                "judged-agent", {"external_identifier": version}, {}, purpose="eval"
            )
            await client.agent_instances.start(one.id)
            await client.agent_instances.finish(one.id)
            if score is not None:
                await client.agent_instances.record_quality(one.id, "helpful", {"score": score})


def test_versions_are_compared(prefactor: Call, recorded: Recorded) -> None:
    """The means of two versions are shown, and too low a mean or too large a drop exits with 1."""
    asyncio.run(judge(recorded.server, "v1", 1.0, 0.8))
    asyncio.run(judge(recorded.server, "v2", 0.5, 0.7, None))
    compare = ("quality", "compare", "--agent", "judged-agent", "--version", "v1", "v2")
    compare = (*compare, "--name", "helpful", "--purpose", "eval")

    passed = prefactor(*compare, "--fail-below", "0.6", "--fail-drop", "0.4")
    assert (passed.code, passed.err) == (0, "")
    assert [row.split() for row in passed.out.splitlines()[1:]] == [
        ["v1", "2", "0", "0.9", "0.1", "0.8", "1"],
        ["v2", "2", "1", "0.6", "0.1", "0.5", "0.7"],
        ["mean", "-0.3"],
    ]
    below = prefactor(*compare, "--fail-below", "0.61")
    assert below.code == 1
    assert below.err == (
        "prefactor: quality 'helpful': the mean score of version 'v2' is 0.6, below 0.61\n"
    )
    assert prefactor(*compare, "--fail-drop", "0.2").code == 1
    told = json.loads(prefactor(*compare, "--json").out)
    assert (told["passed"], told["versions"][1]["unscored_runs"]) == (True, 1)
    unknown = prefactor(*compare[:-4], "--name", "never-recorded")
    assert unknown.code == 1
    assert "no run of version 'v1' has a score" in unknown.err
