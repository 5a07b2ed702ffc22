"""Any sequence of commands, against a model that fits on one page, over a real database."""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from database import Database, make_database
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import (
    FACTS,
    NOW,
    create_span,
    finish,
    finish_span,
    instance,
    metadata,
    register,
    request,
    schema,
    start,
    terminate,
)

from prefactor_server.commands.base import Command, Done
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.sqlite.backend import SqliteStorage

RUNS = ("r1", "r2", "r3")
SPANS = ("s1", "s2", "s3", "s4")
OVER = ("complete", "failed", "cancelled")
STATUSES = ("pending", "active", *OVER)

Step = tuple[str, ...]
"""A verb, an id and further arguments; the last is the key, or empty."""

KEYS = st.sampled_from(["", "", "", "k1", "k2"])
STEPS = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(RUNS), st.sampled_from(["v1", "v2"]), KEYS),
    st.tuples(st.just("start"), st.sampled_from(RUNS), KEYS),
    st.tuples(st.just("finish"), st.sampled_from(RUNS), st.sampled_from(OVER), KEYS),
    st.tuples(st.just("terminate"), st.sampled_from(RUNS), KEYS),
    st.tuples(
        st.just("create"),
        st.sampled_from(SPANS),
        st.sampled_from(RUNS),
        st.sampled_from(STATUSES),
        KEYS,
    ),
    st.tuples(st.just("end"), st.sampled_from(SPANS), st.sampled_from(OVER), KEYS),
)
# The runs exist and the first is active, so that most sequences have effects.
OPENING: list[Step] = [
    ("register", "r1", "v1", ""),
    ("register", "r2", "v2", ""),
    ("start", "r1", ""),
]
SEQUENCES = st.lists(STEPS, max_size=25).map(lambda steps: [*OPENING, *steps])


class Model:
    """The expected rows: the statuses of runs and spans, and the used keys."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        self.spans: dict[str, tuple[str, str]] = {}
        self.closed: set[str] = set()
        self.keys: dict[tuple[str, str], Step] = {}

    def take(self, step: Step) -> str:
        """Carry out a step; return ``done``, ``replayed`` or ``refused``."""
        verb, key = step[0], step[-1]
        used = self.keys.get((verb, key)) if key else None
        if used is not None:
            return "replayed" if used == step else "refused"
        done: bool = getattr(self, verb)(*step[1:-1])
        if done and key:
            self.keys[verb, key] = step
        return "done" if done else "refused"

    def register(self, run: str, _version: str) -> bool:
        if run in self.runs:
            return False
        self.runs[run] = "pending"
        return True

    def start(self, run: str) -> bool:
        return self._move(run, {"pending": "active"})

    def finish(self, run: str, status: str) -> bool:
        moves = {"active": status}
        return self._move(run, moves | {"pending": status} if status == "cancelled" else moves)

    def terminate(self, run: str) -> bool:
        if not self._move(run, {"active": "terminated"}):
            return False
        for span, (of, status) in self.spans.items():
            if of == run and status in ("pending", "active"):
                self.spans[span] = (run, "cancelled")
                self.closed.add(span)
        return True

    def create(self, span: str, run: str, status: str) -> bool:
        if run not in self.runs or span in self.spans:
            return False
        self.spans[span] = (run, status)
        return True

    def end(self, span: str, status: str) -> bool:
        run, before = self.spans.get(span, ("", ""))
        pending = before == "pending" and status == "cancelled"
        if before != "active" and not pending and span not in self.closed:
            return False
        self.spans[span] = (run, status)
        self.closed.discard(span)
        return True

    def _move(self, run: str, moves: dict[str, str]) -> bool:
        after = moves.get(self.runs.get(run, ""))
        if after is not None:
            self.runs[run] = after
        return after is not None

    def rows(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Runs with their status and counts, and spans with their run and status."""
        counts = {
            run: Counter(status for of, status in self.spans.values() if of == run)
            for run in self.runs
        }
        runs = {
            run: (status, *(counts[run][one] for one in STATUSES))
            for run, status in self.runs.items()
        }
        return runs, self.spans


def stored(database: Database) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same, as the database has it."""
    counts = ", ".join(f"{status}_spans" for status in STATUSES)
    runs = database.rows(f"SELECT id, status, {counts} FROM agent_instance")  # noqa: S608 - ours
    spans = database.rows("SELECT id, agent_instance_id, status FROM agent_span")
    return {run[0]: run[1:] for run in runs}, {span[0]: span[1:] for span in spans}


def command(step: Step, at: int, schema_version: str) -> Command:
    """The command of a step; its place in the sequence is its time."""
    verb, name, *arguments, key = step
    asked = request(now=NOW + at, key=key or None, fingerprint=repr(step).encode())
    if verb == "register":
        said = metadata(arguments[0])
        return register(name, request=asked, metadata=said, schema=schema("s"))
    if verb == "create":
        run = instance(id=arguments[0], agent_schema_version_id=schema_version)
        return create_span(name, run, request=asked, status=arguments[1])
    if verb == "end":
        return finish_span(name, arguments[0], request=asked, facts=FACTS, finished_at=NOW + at)
    if verb == "finish":
        status: Any = arguments[0]
        return finish(name, status, request=asked, at=NOW + at)
    make = start if verb == "start" else terminate
    return make(name, request=asked)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, closed, for every example to start from a copy of."""
    path = tmp_path_factory.mktemp("template") / "prefactor.db"

    async def make() -> None:
        await (await make_database(path)).storage.close()

    asyncio.run(make())
    return path


@asynccontextmanager
async def copied(template: Path) -> AsyncIterator[Database]:
    """A database for one example, whose commits do not wait for the disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(template, folder))
        storage = SqliteStorage.open(path)
        storage._writer.execute("PRAGMA synchronous = OFF")
        try:
            yield Database(path, storage, Writer(storage, max_queue_bytes=1 << 20))
        finally:
            await storage.close()


async def opened(database: Database) -> AgentInstance:
    """Register a run of the shared agent, with its schema version."""
    run: AgentInstance = await database.do(register("r0", schema=schema("s")))
    return run


def heard(outcome: Any) -> str:
    """Return an outcome in the model's terms."""
    if isinstance(outcome, Done):
        return "replayed" if outcome.replayed else "done"
    return "refused"


@settings(max_examples=60)
@given(SEQUENCES)
def test_the_rows_are_those_of_the_model(template: Path, steps: list[Step]) -> None:
    """After every command of any sequence, runs, counts and spans match the model."""

    async def check() -> None:
        async with copied(template) as database:
            version = (await opened(database)).agent_schema_version_id
            model = Model()
            model.runs["r0"] = "pending"
            for at, step in enumerate(steps):
                (outcome,) = await database.submit(command(step, at, version))
                assert heard(outcome) == model.take(step)
                assert stored(database) == model.rows()

    asyncio.run(check())


def parts(steps: Sequence[Any], sizes: Sequence[int]) -> list[list[Any]]:
    """The steps, cut into pieces of these sizes, over and over."""
    pieces, begun, at = list[list[Any]](), 0, 0
    while begun < len(steps):
        size = sizes[at % len(sizes)]
        pieces.append(list(steps[begun : begun + size]))
        begun, at = begun + size, at + 1
    return pieces


async def write(
    template: Path, commands: Sequence[Command], sizes: Sequence[int]
) -> tuple[Any, list[str]]:
    """Every row and outcome after writing commands in batches of these sizes."""
    async with copied(template) as database:
        await database.submit(commands[0])
        outcomes = list[str]()
        for batch in parts(commands[1:], sizes):
            answers = await asyncio.gather(*(database.submit(one) for one in batch))
            outcomes += [heard(outcome) for (outcome,) in answers]
        rows = database.everything()
        # The change feed has a row for each commit, and entries of the audit log have random ids.
        del rows["feed_change"]
        rows["audit_entry"] = sorted((row[1:] for row in rows["audit_entry"]), key=repr)
        return rows, outcomes


@settings(max_examples=40)
@given(SEQUENCES, st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_batches_do_not_matter(template: Path, steps: list[Step], sizes: list[int]) -> None:
    """Commands give the same rows and answers one per commit and in any batches."""
    first = register("r0", schema=schema("s"))
    version = first.new_ids.schema_version
    commands = [first, *(command(step, at, version) for at, step in enumerate(steps))]

    one_by_one = asyncio.run(write(template, commands, [1]))
    in_batches = asyncio.run(write(template, commands, sizes))

    assert in_batches == one_by_one
