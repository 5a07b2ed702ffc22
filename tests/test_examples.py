"""The examples work: their parts alone, and the programs on a real server."""

import asyncio
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkout import ROOT
from journal_fixture import RecordingJournal, make_run
from live_server import PROGRAM, LiveServer
from model_api import serving
from prefactor_http import AgentSpan, HttpClientConfig, PrefactorHttpClient
from prefactor_recorder.encoding.record import Operation

sys.path.insert(0, str(ROOT / "examples"))

from bulk import hash_file, problems, whole_run
from document_agent.agent import DocumentAgent, Limits
from document_agent.answer import Quote, Sentence
from local_server import ServerError, local_server

# --- The agent and its record ---------------------------------------------------------------------


async def answered(
    journal: RecordingJournal, folder: Path, question: str, limits: Limits | None = None
) -> list[Quote]:
    """Ask about a folder, recording to a journal of the test."""
    with make_run(journal) as run:
        return await DocumentAgent(folder, run, limits).answer(question)


def recorded(journal: RecordingJournal, schema_name: str) -> list[tuple[str, str]]:
    """State and path of each recorded span of a kind."""
    ended = {span["id"]: span["status"] for span in journal.of_operation(Operation.FINISH_SPAN)}
    begun = journal.of_operation(Operation.CREATE_SPAN)
    return [
        (ended[span["id"]], span["payload"].get("path", ""))
        for span in begun
        if span["schema_name"] == schema_name
    ]


def outcome(journal: RecordingJournal) -> str:
    """How the run ended."""
    (finish,) = journal.of_operation(Operation.FINISH)
    return str(finish["status"])


async def test_the_agent_recovers_from_unreadable_documents(tmp_path: Path) -> None:
    """A wrong guess and an oversized document fail visibly, and the agent still answers."""
    filler = "Nothing happened at all today.\n\n" * 10
    (tmp_path / "long.md").write_text(f"{filler}The keeper harvested honey at last.\n", "utf-8")
    journal = RecordingJournal()

    quotes = await answered(journal, tmp_path, "Who harvested honey?", Limits(read_bytes=100))

    assert recorded(journal, "agent:read_file") == [
        ("failed", "harvested.md"),
        ("failed", "long.md"),
        ("complete", "long.md"),
    ]
    assert outcome(journal) == "complete"
    assert quotes[0].sentence == Sentence("long.md", 21, "The keeper harvested honey at last.")


async def test_a_right_guess_is_used(tmp_path: Path) -> None:
    """A document named after the topic is read before anything is searched."""
    (tmp_path / "harvesting.md").write_text("Harvesting starts in the month of June.", "utf-8")
    journal = RecordingJournal()

    quotes = await answered(journal, tmp_path, "When does harvesting start?")

    assert recorded(journal, "agent:read_file")[0] == ("complete", "harvesting.md")
    assert quotes[0].source == "harvesting.md:1"


async def test_a_question_without_an_answer(tmp_path: Path) -> None:
    """An empty folder or an unrelated question gives no quotes, and the run is complete."""
    journal = RecordingJournal()

    assert await answered(journal, tmp_path, "Why?") == []

    assert outcome(journal) == "complete"


# --- The programs ---------------------------------------------------------------------------------


def run(
    server: LiveServer, program: str, *arguments: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run an example as its docstring says, with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / program, *arguments],
        env={**server.environment, "COLUMNS": "100", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def prefactor(server: LiveServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [PROGRAM.with_name("prefactor"), *arguments],
        env={**server.environment, "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_quick_start_runs(live_server: LiveServer) -> None:
    """It records a run and prints the server's view of it, with the summary rendered."""
    ran = run(live_server, "quickstart.py")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.fullmatch(
        r"run \w+ is complete\nLook up: Python version → 3[\d.]+\S* \(complete\)\n", ran.stdout
    )


def test_a_bulk_run_is_read_back_as_a_tree(live_server: LiveServer, tmp_path: Path) -> None:
    """A run recorded in one request is stored under the program's ids."""
    (tmp_path / "a.txt").write_text("hello", encoding="utf-8")
    (tmp_path / "b.txt").write_text("", encoding="utf-8")

    ran = run(live_server, "bulk.py", tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    told = re.fullmatch(r"run (\w+): 5 items recorded in one request\n", ran.stdout)
    assert told, ran.stdout

    shown = prefactor(live_server, "runs", "show", told[1])
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("Bulk example, version ")
    assert re.fullmatch(rf"run {told[1]}: complete in .+, 2 spans \(2 complete\)", lines[1])
    assert lines[2].startswith("├─ ✓ Hash file  a.txt: 5 bytes, 2cf24dba5fb0 ")
    assert lines[3].startswith("└─ ✓ Hash file  b.txt: 0 bytes, e3b0c44298fc ")


def test_a_refused_bulk_item_is_reported(live_server: LiveServer, tmp_path: Path) -> None:
    """A bulk request that stops halfway says which item failed, why, and how many followed."""
    request = whole_run("an id with spaces", [hash_file(Path(__file__))])

    async def send() -> list[str]:
        config = HttpClientConfig(live_server.url, live_server.token)
        async with PrefactorHttpClient(config) as client:
            return problems(request, await client.bulk.execute(request))

    failed, left = asyncio.run(send())
    assert failed.startswith("register-an id with spaces: ")
    assert left == "3 items after it were not attempted"


async def answer_questions(server: LiveServer, version: str, *answers: str) -> None:
    """Record a run of a version for each answer."""
    qualities = [
        {"name": name, "schema": {"type": "object"}, "template": "{{ score }} {{ reason }}"}
        for name in ("correct", "helpful")
    ]
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        for answer in answers:
            one = await client.agent_instances.register(
                "answering-agent",
                {"external_identifier": version},
                {
                    "external_identifier": "answers-1",
                    "span_type_schemas": [],
                    "quality_schemas": qualities,
                },
            )
            await client.agent_instances.start(one.id)
            question = {"question": "What is the capital of France?", "expected": "Paris"}
            await client.agent_spans.create(
                one.id, "answer", "complete", question, {"answer": answer}
            )
            await client.agent_instances.finish(one.id)


def judged(content: str) -> dict[str, Any]:
    """Return the model server's answer."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }


def test_versions_are_evaluated_and_a_worse_one_fails(live_server: LiveServer) -> None:
    """Two versions are scored by a check and a judge; a bad answer of the judge is scored again."""
    asyncio.run(answer_questions(live_server, "v1", "Paris."))
    asyncio.run(answer_questions(live_server, "v2", "Paris, I guess.", "Lyon"))
    with serving() as model:
        environment = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "k"}
        for reply in (
            '{"score": 1, "reason": "right"}',
            "no JSON",
            '{"score": 0}',
            '{"score": 0.5}',
        ):
            model.answer(judged(reply))
        first = run(live_server, "evaluate_runs.py", "answering-agent", "v1", **environment)
        spoiled = run(live_server, "evaluate_runs.py", "answering-agent", "v2", **environment)
        again = run(live_server, "evaluate_runs.py", "answering-agent", "v2", **environment)
        assert len(model.requests) == 4

    assert (first.returncode, spoiled.returncode, again.returncode) == (0, 1, 0), spoiled.stderr
    compare = ("quality", "compare", "--agent", "answering-agent", "--version", "v1", "v2")
    means = prefactor(live_server, *compare, "--name", "correct")
    assert re.search(r"^v1 +1 +0 +1 .*\nv2 +2 +0 +0\.5 ", means.stdout, re.MULTILINE)
    failed = prefactor(live_server, *compare, "--name", "helpful", "--fail-below", "0.8")
    assert (failed.returncode, failed.stderr) == (
        1,
        "prefactor: quality 'helpful': the mean score of version 'v2' is 0.25, below 0.8\n",
    )


def test_documents_are_asked_on_a_real_server(live_server: LiveServer, tmp_path: Path) -> None:
    """The agent prints its answer with sources, and its spans match their schemas."""
    (tmp_path / "bees.md").write_text("Bees make honey out of nectar.\n", encoding="utf-8")

    ran = run(live_server, "ask_documents.py", "What do bees make honey out of?", tmp_path)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "  “Bees make honey out of nectar.”\n    bees.md:1\n" in ran.stdout
    run_id = re.search(r"^Recorded as run (\w+)$", ran.stdout, re.MULTILINE)
    assert run_id, ran.stdout
    spans = asyncio.run(spans_of(live_server, run_id[1]))
    titles = ["Question", "Plan", "Search", "Read file", "Build index", "Read file"]
    assert [span.schema_title for span in spans] == [*titles, "Rank passages", "Write answer"]
    assert [span for span in spans if not span.summary] == []
    assert [
        (span.schema_name, judged)
        for span in spans
        for judged in (span.payload_validation, span.result_payload_validation)
        if judged and judged["status"] == "error"
    ] == []


async def spans_of(server: LiveServer, run_id: str) -> list[AgentSpan]:
    """The spans of a run in the order in which they began."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        spans = client.agent_spans.iterate(
            agent_instance_id=run_id, include_summaries=True, sorting="started_at"
        )
        return [span async for span in spans]


def test_the_agent_answers_although_its_token_is_wrong(
    live_server: LiveServer, tmp_path: Path
) -> None:
    """With a wrong token the agent answers, and then says what was not delivered."""
    (tmp_path / "bees.md").write_text("Bees make honey out of nectar.\n", encoding="utf-8")
    stranger = replace(live_server, token="a-token-that-nobody-ever-made")

    ran = run(stranger, "ask_documents.py", "What do bees make honey out of?", tmp_path)

    assert ran.returncode == 1
    assert "  “Bees make honey out of nectar.”\n    bees.md:1\n" in ran.stdout
    assert re.search(
        r"^Cannot deliver, \d+ operations wait in the spool: .+", ran.stderr, re.MULTILINE
    )


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The raised error has the last output of a local server that died."""
    (tmp_path / "file").write_text("not a database", encoding="utf-8")

    with (
        pytest.raises(ServerError, match=r"did not start \(status 1\)\. It said:\n.*file"),
        local_server(f"sqlite:///{tmp_path}/file", token="a" * 16, folder=tmp_path),
    ):
        pass
