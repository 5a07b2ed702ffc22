"""Two servers on one database, where the second writes between the first's read and write."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from postgres_database import PostgresDatabase, do, on_another_replica, submit
from rows import (
    ACCOUNT,
    NOW,
    OTHER_ACCOUNT,
    create_agent,
    create_span,
    finish,
    finish_span,
    principal,
    register,
    request,
    result,
    start,
    terminate,
    webhook,
)

from prefactor_server.commands.alert import RaiseAlert
from prefactor_server.commands.base import (
    Command,
    Control,
    Done,
    Outcome,
    Refused,
    Submission,
    collect_needs,
    decide_batch,
)
from prefactor_server.commands.webhook import CreateWebhook, Scope
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    RunTerminated,
    ValidationFailed,
)
from prefactor_server.domain.runs.alert import MAX_RAISED, AlertFacts
from prefactor_server.domain.runs.webhooks.webhook import MAX_WEBHOOKS
from prefactor_server.storage.base import Snapshot
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.load import load
from prefactor_server.storage.postgres.write import arguments
from prefactor_server.storage.postgres.write_function import write_function


async def raced(
    database: PostgresDatabase, storage: PostgresStorage, mine: Command, theirs: Command
) -> tuple[Outcome, Outcome]:
    """Return both outcomes when ``theirs`` commits after the rows for ``mine`` were read."""
    heard: list[Outcome] = []
    (outcome,) = await submit(
        storage, mine, meanwhile=on_another_replica(database, theirs, into=heard)
    )
    await database.check_counts()
    return outcome, heard[0]


def refusal(outcome: Outcome) -> type[Any]:
    """Why a command was refused."""
    assert isinstance(outcome, Refused), outcome
    return type(outcome.refusal)


async def test_one_key_has_one_effect(database: PostgresDatabase, storage: PostgresStorage) -> None:
    """If two servers get one request with one key, the later answers with the earlier's row."""
    asked = request(key="same-key")
    mine = register("run-mine", request=asked)

    outcome, theirs = await raced(database, storage, mine, register("run-theirs", request=asked))

    assert isinstance(theirs, Done)
    assert outcome == Done("run-theirs", replayed=True)
    assert await database.rows("SELECT id FROM agent_instance") == [("run-theirs",)]


async def test_one_key_for_two_requests(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """If two servers get different requests with one key, the later refuses."""
    mine = register("run-mine", request=request(key="same-key", fingerprint=b"mine"))
    theirs = register("run-theirs", request=request(key="same-key", fingerprint=b"theirs"))

    outcome, _ = await raced(database, storage, mine, theirs)

    assert refusal(outcome) is IdempotencyKeyUsed


async def test_an_unknown_agent_is_created_once(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Two servers that register the first runs of one agent make one agent, with both runs."""
    outcome, theirs = await raced(database, storage, register("run-1"), register("run-2"))

    assert isinstance(outcome, Done)
    assert isinstance(theirs, Done)
    for table in ("agent", "agent_deployment", "agent_version", "agent_schema_version"):
        assert await database.value(f"SELECT count(*) FROM {table}") == 1  # noqa: S608 - ours
    agents = await database.rows("SELECT DISTINCT agent_id FROM agent_instance")
    assert len(agents) == 1


async def test_an_agents_id_and_name_stay_apart(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """An agent's id never becomes another's external identifier, though no index forbids it."""
    outcome, theirs = await raced(
        database, storage, create_agent("twin"), create_agent("other", external="twin")
    )
    again, theirs_again = await raced(
        database, storage, create_agent("second", external="third"), create_agent("third")
    )

    assert isinstance(theirs, Done)
    assert refusal(outcome) is InvalidAction
    assert isinstance(theirs_again, Done)
    assert refusal(again) is ValidationFailed


async def opened(storage: PostgresStorage) -> Any:
    """A started run with an active and a pending span."""
    run = await do(storage, register("run-1"))
    run = await do(storage, start(run.id))
    await do(storage, create_span("active", run))
    await do(storage, create_span("pending", run, status="pending"))
    await do(storage, create_span("other", await do(storage, register("other-run"))))
    return run


async def test_a_run_starts_once(database: PostgresDatabase, storage: PostgresStorage) -> None:
    """If two servers start the same run, the later refuses and changes nothing."""
    await do(storage, register("run-1"))

    outcome, _ = await raced(
        database, storage, start("run-1", at=NOW + 7), start("run-1", at=NOW + 3)
    )

    assert refusal(outcome) is InvalidAction
    run = await storage.instance(ACCOUNT, "run-1")
    assert run is not None
    assert run.started_at == NOW + 3


async def test_a_finished_run_is_not_terminated(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A termination that comes after another server's finish is refused, and closes no span."""
    await opened(storage)

    outcome, _ = await raced(database, storage, terminate("run-1"), finish("run-1"))

    assert refusal(outcome) is InvalidAction
    run = await storage.instance(ACCOUNT, "run-1")
    assert run is not None
    assert (run.status, run.active_spans, run.pending_spans) == ("complete", 1, 1)


async def test_a_terminated_run_is_not_finished(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A finish that comes after another server's termination is refused."""
    await opened(storage)

    outcome, _ = await raced(database, storage, finish("run-1"), terminate("run-1"))

    assert refusal(outcome) is RunTerminated


async def test_a_span_of_a_run_that_was_just_terminated(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A span created after a termination is accepted, stays open, and reports the termination."""
    run = await opened(storage)

    outcome, _ = await raced(database, storage, create_span("late", run), terminate("run-1"))

    assert isinstance(outcome, Done)
    assert outcome.control == Control("enough")
    found = await storage.instance(ACCOUNT, "run-1")
    assert found is not None
    assert (found.status, found.active_spans, found.cancelled_spans) == ("terminated", 1, 2)


async def test_a_termination_closes_spans_created_meanwhile(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A termination closes and counts the spans that came after it had read the run."""
    run = await opened(storage)

    outcome, _ = await raced(database, storage, terminate("run-1"), create_span("late", run))

    assert isinstance(outcome, Done)
    found = await database.rows("SELECT id, status, flags & 1 FROM agent_span ORDER BY id")
    closed = [(name, "cancelled", 1) for name in ("active", "late", "pending")]
    assert sorted(found) == sorted([*closed, ("other", "active", 0)])


async def test_a_termination_leaves_spans_finished_meanwhile(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A termination neither closes nor counts a span that finished after the rows were read."""
    await opened(storage)

    await raced(database, storage, terminate("run-1"), finish_span("active"))

    found = await database.rows("SELECT id, status FROM agent_span ORDER BY id")
    assert found == [("active", "complete"), ("other", "active"), ("pending", "cancelled")]


async def test_a_span_finished_after_a_termination(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Finishing a span that a termination has just closed still counts, once."""
    await opened(storage)
    mine = finish_span("active", payloads=(result("active"),), result_size=11)

    outcome, _ = await raced(database, storage, mine, terminate("run-1"))

    assert isinstance(outcome, Done)
    assert outcome.control == Control("enough")
    record = await storage.span(ACCOUNT, "active")
    assert record is not None
    assert (record.span.status, record.result) == ("complete", b'{"ok":true}')


async def test_a_span_is_created_once(database: PostgresDatabase, storage: PostgresStorage) -> None:
    """If two servers create a span with one id, the later refuses."""
    run = await opened(storage)

    outcome, theirs = await raced(
        database, storage, create_span("same-id", run), create_span("same-id", run)
    )

    assert isinstance(theirs, Done)
    assert refusal(outcome) is InvalidAction


async def test_a_span_is_finished_once(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """If two servers finish a span, the later refuses."""
    await opened(storage)

    outcome, theirs = await raced(
        database, storage, finish_span("active"), finish_span("active", "failed")
    )

    assert isinstance(theirs, Done)
    assert refusal(outcome) is InvalidAction


async def test_counts_add_up(database: PostgresDatabase, storage: PostgresStorage) -> None:
    """Spans that two servers add to a run at once are all counted, without a retry."""
    run = await opened(storage)
    get_in_between = on_another_replica(database, create_span("theirs", run, status="failed"))
    submissions = [Submission((create_span("mine", run, status="complete"),), 1)]
    decisions: list[object] = []

    def decide(snapshots: Mapping[str, Snapshot]) -> None:
        decisions.append(decide_batch(submissions, snapshots))
        get_in_between()

    await storage.transact(collect_needs(submissions), decide)

    found = await storage.instance(ACCOUNT, "run-1")
    assert found is not None
    assert (found.active_spans, found.complete_spans, found.failed_spans) == (1, 1, 1)
    assert len(decisions) == 1
    await database.check_counts()


async def test_two_servers_do_not_pass_a_limit(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """If two servers create the last webhook and the last alert, the later are refused.

    Another account has its own limits, also for a run with the same id.
    """
    versions: dict[str, str] = {}

    def made(name: str, account_id: str = ACCOUNT) -> CreateWebhook:
        return CreateWebhook(request(account_id), webhook(id=name, account_id=account_id), Scope())

    def raised(name: str, account_id: str = ACCOUNT) -> RaiseAlert:
        asked, caller = request(account_id), principal(account_id)
        facts = AlertFacts(name, None, "info", None, None, None)
        return RaiseAlert(asked, caller, name, "run-1", name, facts, versions[account_id])

    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        await submit(storage, register("run-1", request=request(account_id)))
        run = await storage.instance(account_id, "run-1")
        assert run is not None
        versions[account_id] = run.agent_schema_version_id
    await submit(storage, *(made(f"webhook-{number}") for number in range(MAX_WEBHOOKS - 1)))
    await submit(storage, *(raised(f"alert-{number}") for number in range(MAX_RAISED - 1)))
    # The server's own alerts count as well.
    await database.rows("UPDATE alert SET raised_by = 'server' WHERE name = 'alert-0'")
    webhooks = await raced(database, storage, made("mine"), made("theirs"))
    alerts = await raced(database, storage, raised("mine"), raised("theirs"))

    assert (refusal(webhooks[0]), refusal(alerts[0])) == (InvalidAction, ValidationFailed)
    assert isinstance(webhooks[1], Done)
    assert isinstance(alerts[1], Done)
    for command in (made("of another", OTHER_ACCOUNT), raised("of another", OTHER_ACCOUNT)):
        assert isinstance((await submit(storage, command))[0], Done)


@asynccontextmanager
async def uncommitted(storage: PostgresStorage, command: Command) -> AsyncGenerator[None]:
    """Let a server write a command, and commit it only at the end of the block."""
    submissions = [Submission((command,), 1)]
    async with storage._writing.connection() as connection, connection.transaction():
        loaded = await load(connection, collect_needs(submissions))
        decide_batch(submissions, loaded.snapshots)
        written = arguments(loaded)
        assert written is not None
        await connection.execute(write_function().call, uuid.uuid4(), *written)
        yield


@pytest.mark.parametrize(
    "commands",
    [
        (register("run-1"), start("run-1"), finish("run-1"), terminate("run-1")),
        (create_agent("a"), create_agent("twin"), create_agent("other", external="twin")),
        [
            CreateWebhook(request(), webhook(id=f"webhook-{number}"), Scope())
            for number in range(MAX_WEBHOOKS + 1)
        ],
    ],
    ids=["a run ends once", "a name is used once", "a limit is kept"],
)
async def test_a_write_waits_for_another(
    database: PostgresDatabase,
    storage: PostgresStorage,
    other: PostgresStorage,
    commands: Sequence[Command],
) -> None:
    """A write that excludes another's waits until that is committed, and is then refused."""
    *before, theirs, mine = commands
    await submit(storage, *before)
    async with uncommitted(other, theirs):
        writing = asyncio.create_task(submit(storage, mine))
        await database.until_blocked(writing)

    (outcome,) = await writing
    assert isinstance(outcome, Refused)
