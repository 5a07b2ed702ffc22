"""Both backends give the same outcomes for any requests in any interleaving."""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_database import submit
from replica import Replica, Subject, embedded
from sequences import OPENING, STEPS, Step, commands, heard

from postgres_server import PostgresServer
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion, SchemaContent
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.idempotency import IdempotencyKey
from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.storage.base import Storage
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.sqlite.backend import SqliteStorage

TABLES: dict[str, type[Any]] = {
    "environment": Environment,
    "agent": Agent,
    "schema_content": SchemaContent,
    "agent_schema_version": AgentSchemaVersion,
    "agent_version": AgentVersion,
    "agent_deployment": AgentDeployment,
    "agent_instance": AgentInstance,
    "agent_span": AgentSpan,
    "idempotency_key": IdempotencyKey,
    "audit_entry": AuditEntry,
}
_numbers = count(1)


@pytest.fixture(scope="module")
def url(server: PostgresServer) -> str:
    """One database for all examples: each example has its own account."""
    return server.create_database(f"equal_{next(_numbers)}")


@pytest.fixture(scope="module")
def postgres(url: str) -> Iterator[Subject]:
    """The backend under test."""
    opened: list[PostgresStorage] = []

    async def opening() -> Storage:
        opened.append(await PostgresStorage.open(url))
        return opened[0]

    async def query(sql: str) -> list[tuple[Any, ...]]:
        records = await opened[0]._writing.run(lambda connection: connection.fetch(sql))
        return [tuple(record) for record in records]

    replica = Replica(opening)
    yield Subject(replica, query, query)
    replica.close()


@pytest.fixture(scope="module")
def other_replica(url: str, postgres: Subject) -> Iterator[Replica]:
    """A second server on the same database."""
    replica = Replica(lambda: PostgresStorage.open(url))
    yield replica
    replica.close()


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """The backend that it is compared with."""
    opened: list[SqliteStorage] = []

    async def opening() -> Storage:
        opened.append(SqliteStorage.open(tmp_path_factory.mktemp("equal") / "prefactor.db"))
        opened[0]._writer.execute("PRAGMA synchronous = OFF")
        return opened[0]

    replica = Replica(opening)
    yield Subject(replica, *embedded(opened[0]))
    replica.close()


def new_account(subject: Subject) -> str:
    """The account of one example, with the rows that most of them need."""
    account_id = f"account-{next(_numbers):06}"
    subject.new_account(account_id)
    for command in commands(account_id, OPENING):
        subject.replica.do(submit(subject.replica.storage, command))
    return account_id


def carry_out(subject: Subject, account_id: str, batches: list[list[Step]]) -> list[str]:
    """Return the outcomes of these commands, each as one request, one after the other."""
    said: list[str] = []
    first = len(OPENING)
    for steps in batches:
        asked = commands(account_id, steps, first)
        outcomes = subject.replica.do(submit(subject.replica.storage, *asked))
        said += ["|", *heard(outcomes, account_id)]
        first += len(steps)
    return said


RACES = st.tuples(st.lists(STEPS, max_size=4), st.lists(STEPS, min_size=1, max_size=4), STEPS)
BATCHES = st.lists(st.lists(STEPS, min_size=1, max_size=6), max_size=6)


@settings(max_examples=40, deadline=None)
@given(BATCHES)
def test_the_same_commands_leave_the_same_rows(
    postgres: Subject, sqlite: Subject, batches: list[list[Step]]
) -> None:
    """Any requests are answered alike and leave the same rows in both databases."""
    here, there = new_account(postgres), new_account(sqlite)

    assert carry_out(postgres, here, batches) == carry_out(sqlite, there, batches)
    assert postgres.rows(here, TABLES) == sqlite.rows(there, TABLES)


@settings(max_examples=60, deadline=None)
@given(RACES)
def test_an_interleaved_request_counts_before_or_after(
    postgres: Subject,
    other_replica: Replica,
    sqlite: Subject,
    race: tuple[list[Step], list[Step], Step],
) -> None:
    """Another server's command during a request counts as before it or after it."""
    before, mine, theirs = race
    asked_before = [[step] for step in before]
    account_id = new_account(postgres)
    carry_out(postgres, account_id, asked_before)
    first = len(OPENING) + len(before)
    my_commands = commands(account_id, mine, first)
    (their_command,) = commands(account_id, [theirs], first + len(mine))
    their_outcomes: list[Any] = []

    def meanwhile() -> None:
        their_outcomes.extend(other_replica.do(submit(other_replica.storage, their_command)))

    my_outcomes = postgres.replica.do(
        submit(postgres.replica.storage, *my_commands, meanwhile=meanwhile)
    )

    happened = (
        without_merged(heard(my_outcomes, account_id)),
        without_merged(heard(their_outcomes, account_id)),
        postgres.rows(account_id, TABLES),
    )
    orders = [in_order(sqlite, before, mine, theirs, first=one) for one in ("mine", "theirs")]
    assert happened in orders


def in_order(
    subject: Subject, before: list[Step], mine: list[Step], theirs: Step, *, first: str
) -> tuple[list[str], list[str], dict[str, list[Any]]]:
    """Return the outcomes and the stored rows when one request follows the other."""
    account_id = new_account(subject)
    carry_out(subject, account_id, [[step] for step in before])
    begin = len(OPENING) + len(before)
    requests = {
        "mine": commands(account_id, mine, begin),
        "theirs": commands(account_id, [theirs], begin + len(mine)),
    }
    said: dict[str, list[str]] = {}
    for who in sorted(requests, key=lambda who: who != first):
        outcomes = subject.replica.do(submit(subject.replica.storage, *requests[who]))
        said[who] = heard(outcomes, account_id)
    return (
        without_merged(said["mine"]),
        without_merged(said["theirs"]),
        subject.rows(account_id, TABLES),
    )


def without_merged(said: list[str]) -> list[str]:
    """Return the outcomes without the columns that are merged with the writes of others."""
    return [re.sub(r"(_spans|last_seen_at)=\d+", r"\1=?", one) for one in said]


LISTS = {
    "spans": AgentSpan._fields,
    "instances": AgentInstance._fields,
    "agents": Agent._fields,
}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_same_lists_have_the_same_pages(
    postgres: Subject, sqlite: Subject, data: st.DataObject
) -> None:
    """Any list, in any order and from any cursor, has the same rows, total and next page."""
    steps = [data.draw(st.lists(STEPS, min_size=6, max_size=16), "steps")]
    here, there = new_account(postgres), new_account(sqlite)
    carry_out(postgres, here, steps)
    carry_out(sqlite, there, steps)
    name = data.draw(st.sampled_from(sorted(LISTS)), "list")
    listing = Listing(
        filters=data.draw(filters(LISTS[name]), "filters"),
        sort=Sort(data.draw(st.sampled_from(LISTS[name])), data.draw(st.booleans())),
        offset=data.draw(st.integers(0, 3)),
        page_size=data.draw(st.integers(1, 3)),
    )
    if listing.sort.field == "account_id":
        listing = listing._replace(sort=Sort())

    while True:
        pages = [
            subject.replica.do(getattr(subject.replica.storage, name)(account_id, listing))
            for subject, account_id in ((postgres, here), (sqlite, there))
        ]
        assert [repr(page).replace(here, "") for page in pages[:1]] == [
            repr(page).replace(there, "") for page in pages[1:]
        ]
        following: Cursor | None = pages[0].next
        if following is None:
            break
        listing = listing._replace(after=following)


def filters(columns: tuple[str, ...]) -> st.SearchStrategy[tuple[Filter, ...]]:
    """Any filters of a list."""
    times = [column for column in columns if column.endswith("_at")]
    one = st.one_of(
        st.builds(Filter, st.sampled_from(columns), st.just("is null"), st.none()),
        st.builds(
            Filter,
            st.sampled_from(times),
            st.sampled_from([">=", "<"]),
            st.integers(1_700_000_000_000_000, 1_700_000_000_000_020),
        ),
        st.builds(
            Filter,
            st.sampled_from(["id", *(["status"] if "status" in columns else [])]),
            st.just("="),
            st.sampled_from(["s1", "r1", "active", "complete"]),
        ),
    )
    return st.lists(one, max_size=2).map(tuple)
