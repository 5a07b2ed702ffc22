"""Two accounts with the same ids everywhere: each reads only its own rows."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from database import make_database
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import (
    ACCOUNT,
    NOW,
    OTHER_ACCOUNT,
    NewIds,
    create_agent,
    create_span,
    payload,
    principal,
    register,
    request,
    schema,
    start,
    terminate,
)

from prefactor_server.commands.api_token import CreateToken
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.api_token import new_token
from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import PARAMS, AgentSpan
from prefactor_server.storage.base import Needs, Registration
from prefactor_server.storage.sqlite import read
from prefactor_server.storage.sqlite.connection import open_reader
from prefactor_server.storage.sqlite.load import load

ACCOUNTS = (ACCOUNT, OTHER_ACCOUNT)
IDS = NewIds("agent", "schema", "version", "deployment")


async def fill(path: Path) -> None:
    """Write everything twice, under the same ids; only the second account has a second run."""
    database = await make_database(path)
    for account_id in ACCOUNTS:
        asked = request(account_id, key="key", fingerprint=account_id.encode())
        token = new_token(f"secret-of-{account_id}", "token", account_id, NOW)
        declared = schema(f"of-{account_id}", account_id)
        await database.submit(
            CreateToken(asked, token, None, None, "unused"),
            create_agent("agent-1", "name", request=asked),
            register("run", "name", request=asked, schema=declared, new_ids=IDS),
        )
        run = await database.run("run", account_id)
        caller = {"request": request(account_id), "principal": principal(account_id)}
        await database.submit(
            start("run", **caller),
            *(
                create_span(
                    f"span-{number}",
                    run,
                    schema_name=account_id,
                    payloads=(payload(f"span-{number}", PARAMS, account_id.encode(), account_id),),
                )
                for number in range(6)
            ),
        )
    await database.submit(
        terminate("run", request=request(OTHER_ACCOUNT), principal=principal(OTHER_ACCOUNT)),
        register("run-2", "name", request=request(OTHER_ACCOUNT)),
    )
    await database.storage.close()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A reading connection to that database."""
    path = tmp_path_factory.mktemp("isolation") / "prefactor.db"
    asyncio.run(fill(path))
    connection = open_reader(path)
    yield connection
    connection.close()


@pytest.mark.parametrize("account_id", ACCOUNTS)
def test_a_row_belongs_to_its_account(reader: Any, account_id: str) -> None:
    """If both accounts have a row with an id, each read returns the caller's."""
    agent = read.agent(reader, account_id, "agent-1")
    named = read.agent(reader, account_id, "name")
    run = read.instance(reader, account_id, "run")
    span = read.span(reader, account_id, "span-1")
    found = read.token_by_hash(reader, new_token(f"secret-of-{account_id}", "", "", 0).token_hash)
    assert agent is not None
    assert run is not None
    assert span is not None
    assert found is not None

    assert agent == named
    assert agent.agent.account_id == run.account_id == span.span.account_id == account_id
    assert span.payload.decode() == span.span.schema_name == account_id
    assert run.status == ("active" if account_id == ACCOUNT else "terminated")
    assert (found[0].account_id, found[1].id) == (account_id, account_id)
    assert {one.account_id for one in read.tokens(reader, account_id)} == {account_id}
    content = read.schema_content(reader, account_id, "schema")
    assert content == f'["of-{account_id}"]'.encode()


def test_counts_are_of_their_account(reader: Any) -> None:
    """The runs of an agent are counted only in the caller's account."""
    mine = read.instance_counts(reader, ACCOUNT, "agent-1", None)
    theirs = read.instance_counts(reader, OTHER_ACCOUNT, "agent-1", None)

    assert (mine.active, mine.terminated, mine.pending) == (1, 0, 0)
    assert (theirs.active, theirs.terminated, theirs.pending) == (0, 1, 1)


def test_another_accounts_id_is_unknown(reader: Any) -> None:
    """An id that exists only in the other account is unknown."""
    assert read.instance(reader, OTHER_ACCOUNT, "run-2") is not None
    assert read.instance(reader, ACCOUNT, "run-2") is None
    assert read.agent(reader, "nobody", "agent-1") is None
    assert read.span(reader, "nobody", "span-1") is None
    assert read.schema_content(reader, "nobody", "schema") is None


LISTS: list[tuple[Any, tuple[str, ...]]] = [
    (read.agents, Agent._fields),
    (read.instances, AgentInstance._fields),
    (read.spans, AgentSpan._fields),
]
VALUES = st.sampled_from(
    ["agent-1", "run", "run-2", "active", OTHER_ACCOUNT, ACCOUNT, "' OR 1=1 --", 0, NOW, None]
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[Any, Listing]:
    """A list with any filters, order and page."""
    work, columns = draw(st.sampled_from(LISTS))
    column = st.sampled_from(columns)
    asked = st.builds(Filter, column, st.sampled_from(["=", ">=", "<", "is null"]), VALUES)
    cursors = st.builds(Cursor, VALUES, st.sampled_from(["", "run", "span-3"]), st.integers(0, 9))
    return work, Listing(
        filters=tuple(draw(st.lists(asked, max_size=3))),
        sort=Sort(draw(column), draw(st.booleans())),
        offset=draw(st.integers(0, 3)),
        page_size=draw(st.integers(1, 10)),
        after=draw(st.none() | cursors),
    )


@settings(max_examples=200)
@given(questions(), st.sampled_from(ACCOUNTS))
def test_a_list_holds_rows_of_its_account(
    reader: Any, question: tuple[Any, Listing], account_id: str
) -> None:
    """Any list returns and counts only rows of the caller's account."""
    work, listing = question
    page = work(reader, account_id, listing)

    rows = [getattr(row, "agent", None) or getattr(row, "span", row) for row in page.rows]
    assert {row.account_id for row in rows} <= {account_id}
    most = {read.agents: 1, read.spans: 6}.get(work, 1 if account_id == ACCOUNT else 2)
    assert len(rows) <= page.total <= most
    for record in page.rows:
        if work is read.spans:
            assert record.payload.decode() == account_id


@given(
    st.sets(st.sampled_from(["run", "run-2", "span-1", "agent-1", "name", "token", "x"])),
    st.sampled_from(ACCOUNTS),
)
@settings(max_examples=50)
def test_a_load_holds_rows_of_its_account(reader: Any, ids: set[str], account_id: str) -> None:
    """The rows loaded for a batch are those of its account, whatever the batch names."""
    needs = Needs(
        keys={("agents.create", "key"), ("api_tokens.create", "key")},
        agents=ids,
        environments=ids | {"environment-default"},
        instances=ids,
        spans=ids,
        tokens=ids,
        registrations={Registration(one, None, b"h", b"m", None) for one in ids},
    )
    snapshot = load(reader, account_id, needs)

    assert snapshot._rows
    assert {row.account_id for row in snapshot._rows.values()} == {account_id}
