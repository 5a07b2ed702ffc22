"""`prefactor` commands that read runs: list, show, search, export, follow and compare."""

import asyncio
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import LARGE, PREFACTOR, Call, Recorded, of_type, once, one_run, process
from live_server import LiveServer
from patience import patience
from prefactor_http import HttpClientConfig, PrefactorHttpClient


def test_runs_are_listed(prefactor: Call, recorded: Recorded) -> None:
    """The list has status, agent, whole ids and errors, and says how many it left out."""
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
        (
            ("--agent", "polite-agent", "--agent", "hostile-agent"),
            {"complete", "active", "failed"},
        ),
        (("--agent", "polite-agent", "--version", "v1"), {"complete"}),
        (("--environment", "Default", "--status", "active", "--agent", "polite-agent"), {"active"}),
        (("--since", "1h", "--failed-spans"), {"failed"}),
        (("--no-failed-spans", "--until", "2026-01-02T00:00Z"), {"complete"}),
        (("--min-duration", "1m", "--max-duration", "2m"), {"complete"}),
        (
            ("--ended-since", "2026-01-01T00:00Z", "--ended-until", "2026-01-02T00:00Z"),
            {"complete"},
        ),
        (("--metadata", "release=v7"), {"complete"}),
        (("--external-id", "polite-1"), {"complete"}),
        (("--purpose", "eval"), set()),
        (("--span-type", "tool:break"), {"failed"}),
        (("--text", "marmalade"), {"complete"}),
        (("--sort", "-inserted_at", "--all", "--agent", "polite-agent"), {"complete", "active"}),
    ],
)
def test_every_filter_is_a_flag(
    prefactor: Call, recorded: Recorded, filters: tuple[str, ...], found: set[str]
) -> None:
    """Each filter of the API is a flag, which takes names where the API needs ids."""
    deadline = time.monotonic() + patience(30)
    while True:
        listed = prefactor("runs", "list", "--json", *filters)
        # Span types and texts are indexed a moment after they are recorded.
        names = {getattr(recorded, name): name for name in ("complete", "failed", "active")}
        got = {names[str(one["id"])] for one in listed.objects}
        if got == found or time.monotonic() > deadline:
            break
        time.sleep(0.05)

    assert (listed.code, got) == (0, found)


def test_words_are_searched(prefactor: Call, recorded: Recorded) -> None:
    """A search shows each run with the matching span, and the text around the match."""
    found = prefactor("search", "marmal")

    assert found.code == 0
    assert recorded.complete in found.out
    assert re.search(r"^    \w+  .*marmalade", found.out, re.MULTILINE)
    assert prefactor("search", "nothing-has-this").err == "No run matches.\n"


def test_agents_are_listed_and_shown(prefactor: Call) -> None:
    """Agents are found by their external identifier, and shown with the number of their runs."""
    for order in ((), ("--sort", "last-run")):
        listed = prefactor("agents", "list", *order).out
        assert re.search(r"^\w+ +Polite +\w+ +polite-agent .* (now|ago)$", listed, re.MULTILINE)
    shown = prefactor("agents", "show", "polite-agent")
    assert re.search(r"^runs +2 \(1 active, 1 complete\)$", shown.out, re.MULTILINE)
    assert json.loads(prefactor("agents", "show", "polite-agent", "--json").out)["name"] == "Polite"


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


def test_the_address_of_a_run_is_printed(prefactor: Call, recorded: Recorded) -> None:
    """Without a browser, the page's address is printed."""
    assert prefactor("open", "polite-1").out == f"{recorded.server.url}/#/run/{recorded.complete}\n"


def test_the_latest_run_is_the_default(prefactor: Call) -> None:
    """Without an id, the run that was registered last is shown and opened."""
    (latest,) = prefactor(
        "runs", "list", "--sort", "-inserted_at", "--limit", "1", "--json"
    ).objects

    assert json.loads(prefactor("runs", "show", "--json").out)["id"] == latest["id"]
    assert prefactor("open", "--print").out.endswith(f"/#/run/{latest['id']}\n")


def test_an_export_is_complete(prefactor: Call, recorded: Recorded, tmp_path: Path) -> None:
    """An export has the run, its span and its quality between its first and last line."""
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
    """If the disk is full, the earlier file is unchanged and nothing partial remains."""
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
    """An export has the spans of every page, and the tree says how many it left out."""
    lines = prefactor("runs", "export", LARGE).objects
    spans = of_type(lines, "agent_span")
    assert sorted(line["payload"]["n"] for line in spans) == [*range(120)]

    shown = prefactor("runs", "show", LARGE, "--limit", "5")
    assert len(shown.out.splitlines()) == 2 + 5, shown.out
    assert shown.err == "Showing 5 of 120 spans. --all shows all.\n"


def test_a_run_is_followed_to_its_end(
    serve: Callable[..., LiveServer], port: int, tmp_path: Path
) -> None:
    """Each line is printed once as it happens, even across a restart, until the run ends."""
    server = serve(tmp_path / "server", port=port)
    run_id = asyncio.run(one_run(server, "followed-agent"))
    asyncio.run(step(server, run_id, "before"))
    tail = process(server, "runs", "tail", run_id, "--exit-status")
    assert tail.stdout is not None
    assert "✓ before" in tail.stdout.readline()

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
    """An agent's runs are printed as objects, and Ctrl-C exits with 130 and no traceback."""
    asyncio.run(one_run(recorded.server, "watched-agent"))
    tail = process(recorded.server, "runs", "tail", "--json", "--agent", "watched-agent")
    assert tail.stdout is not None
    assert tail.stderr is not None
    assert tail.stderr.readline() == "Following runs. Press Ctrl-C to stop.\n"
    run_id = asyncio.run(one_run(recorded.server, "watched-agent"))
    told = json.loads(tail.stdout.readline())
    assert (told["type"], told["id"]) == ("agent_instance", run_id)

    tail.send_signal(signal.SIGINT)
    out, err = tail.communicate()

    assert tail.returncode == 130
    assert "Traceback" not in out + err


async def judge(server: LiveServer, version: str, *scores: float | None) -> None:
    """Record runs of a version with these scores, or without any."""
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
    """Two versions' means are shown; too low a mean or too large a drop exits with 1."""
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
    for limit in ("--fail-below", "--fail-drop"):
        assert prefactor(*compare, limit, "nan").code == 2
    told = json.loads(prefactor(*compare, "--json").out)
    assert (told["passed"], told["versions"][1]["unscored_runs"]) == (True, 1)
    unknown = prefactor(*compare[:-4], "--name", "never-recorded")
    assert unknown.code == 1
    assert "no run of version 'v1' has a score" in unknown.err
