"""`make demo` and `make serve`, run as real processes that leave none behind."""

import asyncio
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from checkout import ROOT
from patience import patience
from prefactor_http import HttpClientConfig, PrefactorHttpClient

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
LIMIT = 60.0


@dataclass(frozen=True)
class Started:
    """A script in a separate session, so that all its processes can be signalled."""

    process: subprocess.Popen[str]
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait(self) -> int:
        return self.process.wait(LIMIT)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the script's output once it contains a text."""
        deadline = time.monotonic() + patience(LIMIT)
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.said):
                return found
            assert self.process.poll() in (None, 0), self.said
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} never came. There is only:\n{self.said}")

    def is_alone(self) -> bool:
        """Return whether no process of the finished script is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Start a script the way make does; what a failed test leaves running is killed after it."""
    all_started: list[Started] = []

    def start(name: str, *arguments: str | Path, **variables: str) -> Started:
        output = tmp_path / f"{name}-{len(all_started)}.txt"
        with output.open("w", encoding="utf-8") as printed:
            process = subprocess.Popen(
                [f"scripts/{name}", *arguments],
                cwd=ROOT,
                # Variables for another server in the shell must have no effect.
                env={
                    **os.environ,
                    "PATH": PATH,
                    "PREFACTOR_HOST": "192.0.2.1",
                    "COLUMNS": "120",
                    **variables,
                },
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        all_started.append(Started(process, output))
        return all_started[-1]

    yield start
    for each in all_started:
        if not each.is_alone():
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.wait()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A small folder of documents, one of which is too long to read whole."""
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "bees.md").write_text(
        "# Bees\n\nBees make honey from the nectar of flowers. They dance to tell where it is.\n",
        encoding="utf-8",
    )
    filler = "Nothing of interest happened on this day in the village.\n\n" * 2000
    diary = f"{filler}In June the keeper harvested honey for the first time that year.\n"
    (folder / "diary.txt").write_text(diary, encoding="utf-8")
    return folder


def test_the_demo_shows_a_run_and_an_answer(script: Callable[..., Started], tmp_path: Path) -> None:
    """It prints the run as a tree with a failed step, then an answer with sources, and exits 0.

    `make serve`, which its last line names, then shows the run.
    """
    kept = tmp_path / "kept"
    demo = script("demo", "--folder", kept)

    assert demo.wait() == 0, demo.said
    assert re.search(r"^Document agent, version .+\nrun \S+: complete in ", demo.said, re.MULTILINE)
    assert re.search(r"└─ ✓ Question .+ → \d quotes? ", demo.said)
    assert re.search(r"   ├─ ✓ Search .+ → \d+ passages +\d", demo.said)
    assert re.search(r"   │  [├└]─ ✗ Read file +\S+ → could not be read +\d+ ms\n", demo.said)
    assert re.search(r"   │ [│ ]+! FileNotFoundError: there is no document \S+\n", demo.said)
    assert re.search(r"^  “.+\n(?:.+\n)*?    \S+\.(?:md|txt):\d+\n", demo.said, re.MULTILINE)
    assert demo.is_alone()
    assert [*ROOT.glob(f".venv/demo-{demo.process.pid}-*")] == []
    assert demo.said.splitlines()[-1] == f'Look at it: make serve ARGS="--folder {kept}"'
    serve = script("serve", "--folder", kept, "--port", "0")
    assert asyncio.run(status(exports(serve), recorded_in(demo))) == "complete"


def test_the_demo_takes_a_question_and_a_folder(
    script: Callable[..., Started], notes: Path
) -> None:
    """Another folder can be searched; an oversized document is read in part after a failure."""
    kept = ("--folder", notes.parent / "kept")
    demo = script("demo", *kept, "When was honey harvested by the keeper?", notes)

    assert demo.wait() == 0, demo.said
    assert "! TooLargeError: diary.txt is longer than 65,536 bytes" in demo.said
    assert re.search(r"✓ Read file  diary\.txt:4001-4001 → 1 lines", demo.said)
    assert "“In June the keeper harvested honey for the first time that year.”" in demo.said
    assert "diary.txt:4001\n" in demo.said


def test_demos_take_turns(script: Callable[..., Started], notes: Path) -> None:
    """Of two demos at once, one waits for the other, and `make serve` waits for both."""
    kept = ("--folder", notes.parent / "kept")
    demos = [script("demo", *kept, "Who makes honey?", notes) for _ in range(2)]
    demos[0].wait_for("A server on http|Another program")
    serve = script("serve", *kept, "--port", "0")

    assert [demo.wait() for demo in demos] == [0, 0], "".join(demo.said for demo in demos)
    config = exports(serve)
    for demo in demos:
        assert asyncio.run(status(config, recorded_in(demo))) == "complete"


def test_the_demo_records_where_serve_runs(script: Callable[..., Started], notes: Path) -> None:
    """While `make serve` runs, a demo uses its server and prints the address of the run."""
    kept = ("--folder", notes.parent / "kept")
    serve = script("serve", *kept, "--port", "0")
    config = exports(serve)
    demos = [script("demo", *kept, "Who makes honey?", notes) for _ in range(2)]
    second = script("serve", *kept, "--port", "0")

    assert [demo.wait() for demo in demos] == [0, 0], "".join(demo.said for demo in demos)
    for demo in demos:
        run_id = recorded_in(demo)
        assert demo.said.splitlines()[-1] == f"Look at it: {config.api_url}/#/run/{run_id}"
        assert asyncio.run(status(config, run_id)) == "complete"
    assert second.wait() == 1
    assert "A server runs on" in second.said


def test_a_failing_demo_reports_it(script: Callable[..., Started], tmp_path: Path) -> None:
    """If the agent fails, the demo fails with its message, and nothing is left."""
    demo = script("demo", "--folder", tmp_path / "kept", "Why?", "no/such/folder")

    assert demo.wait() == 1
    assert "The demo failed: The agent ended with status 2." in demo.said
    assert "no/such/folder is not a folder" in demo.said
    assert demo.is_alone()


@pytest.mark.parametrize("whom", ["everyone", "the demo"])
def test_a_demo_that_is_stopped_leaves_nothing(
    script: Callable[..., Started], tmp_path: Path, whom: str
) -> None:
    """Neither Ctrl-C (which reaches all processes) nor SIGTERM leaves a process or a folder."""
    demo = script("demo", "--folder", tmp_path / "kept")
    demo.wait_for("A server on http")

    if whom == "everyone":
        os.killpg(demo.process.pid, signal.SIGINT)
    else:
        demo.process.terminate()

    assert demo.wait() in (130, 143), demo.said
    assert demo.is_alone()
    assert "Traceback" not in demo.said
    assert [*ROOT.glob(f".venv/demo-{demo.process.pid}-*")] == []


def recorded_in(demo: Started) -> str:
    """The id of a demo's run."""
    return demo.wait_for(r"Recorded as run (\S+)")[1]


def exports(serve: Started) -> HttpClientConfig:
    """The configuration that a reader would paste."""
    serve.wait_for("Ctrl-C stops it")
    variables = dict(re.findall(r"^export (\w+)=(\S+)$", serve.said, re.MULTILINE))
    return HttpClientConfig.from_env(variables)


async def register(config: HttpClientConfig) -> str:
    """Record something, and return its id."""
    async with PrefactorHttpClient(config) as client:
        return (await client.agent_instances.register("agent", {}, {})).id


async def status(config: HttpClientConfig, run_id: str) -> str:
    """Read something back."""
    async with PrefactorHttpClient(config) as client:
        return (await client.agent_instances.get(run_id)).status


def test_serve_continues_after_a_restart(script: Callable[..., Started], tmp_path: Path) -> None:
    """The printed variables work; after Ctrl-C and a restart, token and runs are the same."""
    first = script("serve", "--folder", tmp_path / "kept", "--port", "0")
    config = exports(first)
    run_id = asyncio.run(register(config))
    os.killpg(first.process.pid, signal.SIGINT)

    assert first.wait() == 0, first.said
    assert first.is_alone()
    assert "Traceback" not in first.said

    second = script("serve", "--folder", tmp_path / "kept", "--port", "0")
    again = exports(second)
    assert again.api_token == config.api_token
    assert asyncio.run(status(again, run_id)) == "pending"


def test_the_token_is_private(script: Callable[..., Started], tmp_path: Path) -> None:
    """Only the owner can read the token, or list its folder."""
    config = exports(script("serve", "--folder", tmp_path / "kept", "--port", "0"))

    token = tmp_path / "kept" / "token"
    assert token.read_text(encoding="ascii").strip() == config.api_token
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700


def test_serve_replaces_a_lost_token(script: Callable[..., Started], tmp_path: Path) -> None:
    """A database whose token file is gone gets a new token that works."""
    first = script("serve", "--folder", tmp_path / "kept", "--port", "0")
    run_id = asyncio.run(register(exports(first)))
    first.process.terminate()
    assert first.wait() == 143, first.said
    assert first.is_alone()
    (tmp_path / "kept" / "token").unlink()

    second = script("serve", "--folder", tmp_path / "kept", "--port", "0")

    assert asyncio.run(status(exports(second), run_id)) == "pending"


def test_a_port_in_use_is_named(script: Callable[..., Started], tmp_path: Path) -> None:
    """A port in use gives a message that names it and says how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        serve = script("serve", "--folder", tmp_path / "kept", "--port", port)

        assert serve.wait() == 1
    assert port in serve.said
    assert re.findall(r"\S*--port", serve.said) == ['ARGS="--port']
    assert "Traceback" not in serve.said


def test_serve_takes_the_settings_of_the_server(
    script: Callable[..., Started], tmp_path: Path
) -> None:
    """The shell's settings apply, and those that `make serve` sets itself are reported."""
    prices = tmp_path / "no-such-prices.toml"
    serve = script(
        "serve", "--folder", tmp_path / "kept", "--port", "0", PREFACTOR_PRICE_FILE=str(prices)
    )

    assert serve.wait() == 1
    assert str(prices) in serve.said
    assert "PREFACTOR_HOST is not used: --host chooses the address." in serve.said
