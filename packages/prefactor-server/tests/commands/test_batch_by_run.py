"""A batch is divided by run: each unit is about one run, and could be committed on its own."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replica import Replica, Subject, embedded
from rows import create_agent, create_span, finish, instance, request, start
from sequences import Step, commands, heard

from prefactor_server.commands.base import (
    Command,
    Outcome,
    Submission,
    collect_needs,
    decide_batch,
)
from prefactor_server.commands.runs.batch_by_run import divide_by_run, place, places
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.idempotency import IdempotencyKey
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan, SpanPayload
from prefactor_server.storage.base import Snapshot, Storage
from prefactor_server.storage.sqlite.backend import SqliteStorage

_bytes = count(1)
_ids = PfidMaker(lambda: 1_700_000_000_000_000, lambda size: next(_bytes).to_bytes(size, "big"))
RUNS = [_ids.make_run_id() for _ in range(3)]
SPANS = {run: [_ids.make_in_run(run, 0) for _ in range(2)] for run in RUNS}
TABLES: dict[str, type[Any]] = {
    "agent_instance": AgentInstance,
    "agent_span": AgentSpan,
    "idempotency_key": IdempotencyKey,
}
# Every account has these once. A registration may find or create them, and one that repeats an
# idempotency key finds the key. A storage over several machines would keep them on all of them.
OF_NO_RUN = {Agent, AgentDeployment, AgentSchemaVersion, AgentVersion, Environment, IdempotencyKey}

_KEYS = st.sampled_from(["", "", "", "k1", "k2"])
_OVER = st.sampled_from(["complete", "failed"])
_OF_RUN: list[st.SearchStrategy[Step]] = [
    one
    for run in RUNS
    for one in (
        st.tuples(st.sampled_from(["start", "terminate"]), st.just(run), _KEYS),
        st.tuples(st.just("finish"), st.just(run), _OVER, _KEYS),
        st.tuples(st.just("end"), st.sampled_from(SPANS[run]), _OVER, _KEYS),
        st.tuples(
            st.just("create"),
            st.sampled_from(SPANS[run]),
            st.just(run),
            st.sampled_from(["pending", "active", "complete"]),
            _KEYS,
        ),
    )
]
REGISTERED: list[Step] = [("register", run, "a1", "v1", "c1", "", "") for run in RUNS]
STEPS = st.one_of(*_OF_RUN, st.sampled_from(REGISTERED))
REQUESTS = st.lists(st.lists(STEPS, min_size=1, max_size=3), min_size=2, max_size=8)
_accounts = count(1)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A database in which every example has accounts of its own."""
    opened: list[SqliteStorage] = []

    async def opening() -> Storage:
        opened.append(SqliteStorage.open(tmp_path_factory.mktemp("units") / "prefactor.db"))
        opened[0]._writer.execute("PRAGMA synchronous = OFF")
        return opened[0]

    replica = Replica(opening)
    yield Subject(replica, *embedded(opened[0]))
    replica.close()


def prepared(database: Subject, requests: list[list[Step]]) -> tuple[str, list[Submission]]:
    """A new account with two runs, and the requests in it."""
    account_id = f"account-{next(_accounts):06}"
    database.new_account(account_id)
    commit(database, [Submission(commands(account_id, REGISTERED[:2]), 1)])
    first, found = 2, list[Submission]()
    for steps in requests:
        found.append(Submission(commands(account_id, steps, first), 1))
        first += len(steps)
    return account_id, found


def commit(database: Subject, submissions: Sequence[Submission]) -> list[list[Outcome]]:
    """Write some requests as one batch, whose rows are only of the runs that they name."""
    needs = collect_needs(submissions)

    def decide(snapshots: Mapping[str, Snapshot]) -> list[list[Outcome]]:
        outcomes = decide_batch(submissions, snapshots)
        for account_id, snapshot in snapshots.items():
            assert places_of(snapshot) <= places(needs[account_id])
        return outcomes

    return database.replica.do(database.replica.storage.transact(needs, decide))


def places_of(snapshot: Snapshot) -> set[str]:
    """The places of the runs that were read or changed, in a batch that was decided."""
    found = {place(run_id) for run_id, _ in snapshot.closed_runs}
    rows: list[Any] = [*snapshot.loaded, *snapshot.payloads]
    for kind in snapshot.kinds():
        rows += [*snapshot.new(kind), *snapshot.changed(kind), *snapshot.deleted(kind)]
    for row in rows:
        match row:
            case AgentInstance():
                found.add(place(row.id))
            case AgentSpan():
                found |= {place(row.id), place(row.agent_instance_id)}
            case SpanPayload():
                found.add(place(row.span_id))
            case _:
                assert type(row) in OF_NO_RUN, row
    return found


@settings(max_examples=30, deadline=None)
@given(REQUESTS)
def test_units_are_independent(database: Subject, requests: list[list[Step]]) -> None:
    """Units that are committed one by one have the outcomes and rows of the whole batch."""
    whole, asked = prepared(database, requests)
    at_once = [heard(outcomes, whole) for outcomes in commit(database, asked)]
    apart, asked = prepared(database, requests)
    by_position: dict[int, list[str]] = {}
    for unit in divide_by_run(asked):
        outcomes = commit(database, [asked[position] for position in unit])
        by_position |= zip(unit, [heard(one, apart) for one in outcomes], strict=True)

    assert [by_position[position] for position in range(len(asked))] == at_once
    assert database.rows(whole, TABLES) == database.rows(apart, TABLES)


@settings(max_examples=30)
@given(REQUESTS)
def test_a_unit_is_about_one_run(requests: list[list[Step]]) -> None:
    """Only requests about several runs, and keys that are used for several, join runs."""
    asked = [Submission(commands("a", steps), 1) for steps in requests]
    needs = [collect_needs([one])["a"] for one in asked]
    for unit in divide_by_run(asked):
        mine = [needs[position] for position in unit]
        alone = all(len(places(one)) == 1 for one in mine)
        keys = [key for one in mine for key in one.keys]
        if alone and len(keys) == len(set(keys)):
            assert len(set().union(*(places(one) for one in mine))) == 1


def _grouped(*requests: Sequence[Command]) -> list[list[int]]:
    return [[*unit] for unit in divide_by_run([Submission(one, 1) for one in requests])]


def _span(run_id: str, span_id: str) -> Command:
    return create_span(span_id, instance(id=run_id))


@pytest.mark.parametrize(
    ("requests", "grouped"),
    [
        ([[start("a")], [start("b")], [finish("a")]], [[0, 2], [1]]),
        ([[start(RUNS[0])], [_span(RUNS[1], SPANS[RUNS[0]][0])]], [[0, 1]]),
        ([[start("a")], [start("b")], [finish("a"), finish("b")], [start("c")]], [[0, 1, 2], [3]]),
        ([[create_agent("x")], [start("a")], [create_agent("y")]], [[0, 2], [1]]),
        ([[create_agent("x")], [create_agent("y", request=request("other"))]], [[0], [1]]),
        ([[start("a")], [start("a", request=request("other"))]], [[0], [1]]),
        ([[start(one, request=request(key="k"))] for one in ("a", "b")], [[0, 1]]),
        ([[_span("a", "s")], [_span("b", "t")], [_span("b", "s")]], [[0, 1, 2]]),
    ],
    ids=[
        "by run",
        "a span leads to its run",
        "over several runs",
        "about no run",
        "no run, two accounts",
        "two accounts",
        "the same key",
        "the same span",
    ],
)
def test_what_is_a_unit(requests: list[list[Command]], grouped: list[list[int]]) -> None:
    """Requests are in one unit if they share a run, a span or a key, or are about no run."""
    assert _grouped(*requests) == grouped
