"""Behaviour specific to one server with one PostgreSQL database."""

import asyncio

import pytest
from lossy_proxy import lossy
from postgres_database import SECRET, PostgresDatabase, do, submit
from rows import (
    ACCOUNT,
    ENVIRONMENT,
    NOW,
    OTHER_ACCOUNT,
    create_agent,
    create_span,
    finish_span,
    payload,
    register,
    request,
    result,
    start,
    terminate,
)

from prefactor_server.commands.base import Done
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import hash_token
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import BadRequest, Contended
from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort
from prefactor_server.domain.runs.agent_instance import InstanceCounts
from prefactor_server.storage.postgres.backend import PostgresStorage


async def test_a_batch_of_two_accounts(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Two accounts may use the same ids in one batch, and each sees its own rows."""
    outcomes = await submit(
        storage,
        register("run-1"),
        register("run-1", request=request(OTHER_ACCOUNT)),
        start("run-1"),
        create_agent("mine", external="same-name"),
        create_agent("mine", external="same-name", request=request(OTHER_ACCOUNT)),
    )

    assert all(isinstance(outcome, Done) for outcome in outcomes)
    mine, theirs = [await storage.instance(one, "run-1") for one in (ACCOUNT, OTHER_ACCOUNT)]
    assert mine is not None
    assert theirs is not None
    assert (mine.status, theirs.status, theirs.account_id) == ("active", "pending", "account-2")


async def test_a_batch_takes_two_round_trips(database: PostgresDatabase) -> None:
    """A batch loads in one round trip and writes in another, if it has anything to write."""
    async with lossy(database.url) as (proxy, url):
        storage = await PostgresStorage.open(url)
        run = await do(storage, register("run-1"))
        for number in range(4):
            await do(storage, create_span(f"s{number}", run, request=request(key=f"k{number}")))
        asked = create_span("s", run, request=request(key="k"))
        before = proxy.questions

        await submit(storage, asked)
        first = proxy.questions - before
        (replayed,) = await submit(storage, asked)
        second = proxy.questions - before - first

        await storage.close()
    assert replayed == Done("s", replayed=True)
    assert (first, second) == (2, 1)


async def test_a_termination_in_a_batch(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A termination closes what its batch did before it, and nothing that follows."""
    run = await do(storage, register("run-1"))
    await submit(storage, start("run-1"), create_span("stored", run), create_span("finished", run))

    outcomes = await submit(
        storage,
        create_span("before", run),
        finish_span("finished"),
        terminate("run-1"),
        create_span("after", run),
        finish_span("before", "failed", payloads=(result("before"),)),
    )

    assert all(isinstance(outcome, Done) for outcome in outcomes)
    found = await database.rows("SELECT id, status FROM agent_span ORDER BY id")
    assert found == [
        ("after", "active"),
        ("before", "failed"),
        ("finished", "complete"),
        ("stored", "cancelled"),
    ]
    await database.check_counts()


async def test_the_last_result_of_a_span_stays(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A result that is replaced, in one batch or in two, is the later one."""
    run = await do(storage, register("run-1"))
    await submit(storage, start("run-1"))
    early = (payload("s", 0, b'{"a":1}'), result("s", b'{"early":1}'))

    await submit(
        storage,
        create_span("s", run, payloads=early),
        terminate("run-1"),
        finish_span("s", payloads=(result("s", b'{"late":1}'),)),
    )

    record = await storage.span(ACCOUNT, "s")
    assert record is not None
    assert (record.payload, record.result) == (b'{"a":1}', b'{"late":1}')


async def test_an_unstorable_value_fails_alone(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A request with a value that no column accepts fails alone in its batch."""
    writer = Writer(storage, max_queue_bytes=1 << 20)
    requests = [
        writer.submit([create_agent(f"agent-{number}", name=name)], 1)
        for number, name in enumerate(["good", "with a \0", "good", "with a \ud800", "good"])
    ]

    outcomes = await asyncio.gather(*requests, return_exceptions=True)

    kept = [isinstance(outcome, list) for outcome in outcomes]
    assert kept == [True, False, True, False, True]
    assert await database.value("SELECT count(*) FROM agent") == 3


async def test_a_row_that_always_conflicts_is_given_up(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A row that an index always refuses is an error in the end, and nothing is stored."""
    run = await do(storage, register("run-1"))
    await database.rows("CREATE UNIQUE INDEX one_span_only ON agent_span_default (account_id)")
    await do(storage, create_span("first", run))

    with pytest.raises(Contended):
        await submit(storage, create_span("second", run))

    assert await database.rows("SELECT id FROM agent_span") == [("first",)]
    await database.check_counts()


@pytest.mark.parametrize(
    "listing",
    [
        Listing((Filter("id", "=", "with a \0"),)),
        Listing((Filter("inserted_at", ">=", 2**63),)),
        Listing(sort=Sort("inserted_at"), after=Cursor("no time", "id", 1)),
    ],
    ids=["nul", "too large", "forged cursor"],
)
async def test_a_list_with_an_impossible_value(listing: Listing, storage: PostgresStorage) -> None:
    """A filter or cursor with a value that no column can hold is the caller's mistake."""
    with pytest.raises(BadRequest, match="filter or a cursor"):
        await storage.spans(ACCOUNT, listing)


async def test_keys_are_deleted_by_age(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Old keys and their receipts are deleted a slice at a time, and newer ones stay."""
    for number in range(5):
        asked = request(key=f"key-{number}", now=NOW + number)
        await do(storage, create_agent(f"agent-{number}", request=asked))
    await database.rows("UPDATE write_receipt SET at = at - 3 * 3600 * 1000000::bigint")

    forgotten = [await storage.forget_keys(NOW + 3, 2) for _ in range(3)]

    assert forgotten == [2, 1, 0]
    assert await database.rows("SELECT key FROM idempotency_key ORDER BY key") == [
        ("key-3",),
        ("key-4",),
    ]
    assert await database.value("SELECT count(*) FROM write_receipt") == 0


async def test_an_account_is_created_once(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Creating a second first account is refused, and the caller learns of the existing one."""
    (token,) = await storage.tokens(ACCOUNT)
    audit = AuditEntry(ACCOUNT, NOW, "cli", "accounts.create", ACCOUNT, None)

    async def create(account_id: str) -> bool:
        environment = Environment(ENVIRONMENT, account_id, "Default", True, NOW, NOW)
        account = Account(account_id, "Name", 1, NOW, NOW)
        return await storage.create_account(account, environment, token, audit)

    assert not await create("another")
    # As after a lost answer: the row is recognised as the first by its time.
    assert await create(OTHER_ACCOUNT)
    assert [account.id for account in await storage.accounts()] == [OTHER_ACCOUNT, ACCOUNT]


async def test_the_other_reads(database: PostgresDatabase, storage: PostgresStorage) -> None:
    """Tokens, agents, counts by status and declared schemas are found."""
    run = await do(storage, register("run-1", "known-as"))
    await do(storage, register("run-2", "known-as", request=request(now=NOW + 60)))
    await do(storage, start("run-1"))

    found = await storage.token_by_hash(hash_token(SECRET))
    by_name = await storage.agent(ACCOUNT, "known-as")
    by_id = await storage.agent(ACCOUNT, run.agent_id)

    assert found is not None
    assert (found[0].id, found[1].id) == ("token-1", ACCOUNT)
    assert await storage.token_by_hash(b"unknown") is None
    assert by_name == by_id
    assert by_name is not None
    assert by_name.last_registered_at == NOW + 60
    assert await storage.agent(OTHER_ACCOUNT, "known-as") is None
    counts = await storage.instance_counts(ACCOUNT, run.agent_id, ENVIRONMENT)
    assert counts == InstanceCounts(pending=1, active=1)
    assert await storage.instance_counts(ACCOUNT, run.agent_id, "e") == InstanceCounts()
    content = await storage.schema_content(ACCOUNT, run.agent_schema_version_id)
    assert content == b'["empty_schema"]'
    assert await storage.schema_content(OTHER_ACCOUNT, run.agent_schema_version_id) is None
    assert await storage.span(ACCOUNT, "unknown") is None
