"""The creation and the end of spans, counted on their run."""

import pytest
from database import Database
from rows import (
    ACCOUNT,
    NOW,
    OTHER_ACCOUNT,
    STAGING,
    create_span,
    deployed,
    finish,
    finish_span,
    payload,
    register,
    request,
    result,
    start,
    terminate,
)

from prefactor_server.commands.agent_span import SpanFacts
from prefactor_server.commands.base import Control, Done, Stale
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import (
    FINISHED_BEFORE_STARTED,
    PARAMS,
    SENSITIVE_ENCODING,
    UNREGISTERED_TYPE,
)
from prefactor_server.domain.runs.usage import Usage


async def registered(database: Database, run_id: str = "run") -> AgentInstance:
    """A pending run."""
    found: AgentInstance = await database.do(register(run_id))
    return found


async def test_a_span_is_stored_with_its_facts(database: Database) -> None:
    """A span is stored with its fields and with the facts derived from its payloads."""
    run = await registered(database)
    facts = SpanFacts("Title", False, "bad", "", "did it", Usage(1, 2, 3, "m", "t"))
    span = await database.do(
        create_span(
            "s",
            run,
            status="complete",
            parent_span_id="parent",
            flags=SENSITIVE_ENCODING,
            payloads=(payload("s", PARAMS, b'{"a":1}'), result("s")),
            payload_size=7,
            result_size=11,
            facts=facts,
        )
    )

    assert (span.agent_id, span.environment_id) == (run.agent_id, run.environment_id)
    assert span.flags == SENSITIVE_ENCODING | UNREGISTERED_TYPE
    assert (span.summary, span.model, span.tool_name, span.total_tokens) == ("did it", "m", "t", 3)
    record = await database.storage.span(ACCOUNT, "s")
    assert record == (span, b'{"a":1}', b'{"ok":true}')


@pytest.mark.parametrize("status", ["pending", "active", "complete", "failed", "cancelled"])
async def test_a_span_is_counted(database: Database, status: str) -> None:
    """A new span adds one to the count of its status, on its run's row, and to no other."""
    run = await registered(database)
    await database.submit(*(create_span(f"s{number}", run, status=status) for number in range(3)))

    found = await database.run("run")
    assert found == run._replace(**{f"{status}_spans": 3})


async def test_a_run_takes_spans_in_every_status(database: Database) -> None:
    """Spans are accepted before their run starts, while it is active, and after it ends."""
    run = await registered(database)
    await database.do(create_span("a", run))
    await database.do(start("run"))
    await database.do(create_span("b", run))
    await database.do(finish("run"))
    await database.submit(create_span("c", run), finish_span("a"))

    found = await database.run("run")
    assert (found.active_spans, found.complete_spans, found.status) == (2, 1, "complete")


async def test_answers_about_a_terminated_run_have_the_signal(database: Database) -> None:
    """Answers about spans of a terminated run carry the reason, and no others do."""
    run = await registered(database)
    (before,) = await database.submit(create_span("a", run))
    await database.submit(start("run"), terminate("run", "amok"))

    outcomes = await database.submit(create_span("b", run), finish_span("a"), finish_span("b"))

    assert isinstance(before, Done)
    assert before.control is None
    assert [one.control for one in outcomes] == [Control("amok")] * 3  # type: ignore[union-attr]


async def test_an_id_is_used_once(database: Database) -> None:
    """A span with an existing id is refused, later or in the same batch, and is not counted."""
    run = await registered(database)
    await database.submit(create_span("a", run), create_span("a", run))
    refusal = await database.refuse(create_span("a", run), InvalidAction)

    assert refusal.message == "A span with the id 'a' already exists"
    assert (await database.run("run")).active_spans == 1


async def test_a_refused_span_changes_no_payload(database: Database) -> None:
    """A second span of the same id does not touch the payloads that are stored under it."""
    run = await registered(database)
    await database.do(create_span("a", run, payloads=(payload("a", PARAMS, b'"first"'),)))
    await database.refuse(
        create_span("a", run, payloads=(payload("a", PARAMS, b'"second"'),)), InvalidAction
    )

    record = await database.storage.span(ACCOUNT, "a")
    assert record is not None
    assert record.payload == b'"first"'


async def test_payloads_of_the_same_id_in_two_accounts(database: Database) -> None:
    """Spans of two accounts with the same id have separate payloads."""
    mine = await registered(database)
    await database.do(register("run", request=request(OTHER_ACCOUNT)))
    theirs = await database.run("run", OTHER_ACCOUNT)
    await database.submit(
        create_span("a", mine, payloads=(payload("a", PARAMS, b'"mine"'),)),
        create_span("a", theirs, payloads=(payload("a", PARAMS, b'"theirs"', OTHER_ACCOUNT),)),
    )

    for account_id, expected in ((ACCOUNT, b'"mine"'), (OTHER_ACCOUNT, b'"theirs"')):
        record = await database.storage.span(account_id, "a")
        assert record is not None
        assert record.payload == expected


async def test_an_unknown_run_is_not_found(database: Database) -> None:
    """A span of a run that does not exist, or is another account's, is refused."""
    run = await registered(database)

    await database.refuse(create_span("a", run._replace(id="other")), NotFound)
    await database.refuse(create_span("a", run._replace(account_id=OTHER_ACCOUNT)), NotFound)


async def test_a_stale_span_is_prepared_again(database: Database) -> None:
    """A span checked against another schema version than its run's changes nothing."""
    run = await registered(database)

    for version in ("other", None):
        (outcome,) = await database.submit(create_span("a", run, schema_version_id=version))
        assert outcome == Stale()
    assert await database.run("run") == run


async def test_a_finish_without_facts_is_prepared_again(database: Database) -> None:
    """A finish prepared before its span was stored is stale once the span exists."""
    run = await registered(database)
    await database.refuse(finish_span("a", facts=None), NotFound)
    outcomes = await database.submit(create_span("a", run), finish_span("a", facts=None))

    assert outcomes[1] == Stale()
    await database.do(finish_span("a"))


@pytest.mark.parametrize("together", [True, False])
async def test_a_finish_sets_end_and_result(database: Database, together: bool) -> None:
    """A finished span has its end, its result and the facts derived from it, and is recounted."""
    run = await registered(database)
    facts = SpanFacts("Title", True, None, "wrong", "sum", Usage(1, 2, 3, "m", "t"))
    end = finish_span("a", "failed", payloads=(result("a"),), result_size=11, facts=facts)
    if together:
        await database.submit(create_span("a", run), end)
    else:
        await database.do(create_span("a", run))
        await database.do(end)

    record = await database.storage.span(ACCOUNT, "a")
    assert record is not None
    span = record.span
    assert (span.status, span.started_at, span.finished_at) == ("failed", NOW + 2, NOW + 5)
    assert (span.result_size, span.result_problem, span.summary) == (11, "wrong", "sum")
    assert (span.total_tokens, span.model, span.tool_name) == (3, "m", "t")
    assert record.result == b'{"ok":true}'
    found = await database.run("run")
    assert (found.active_spans, found.failed_spans) == (0, 1)


async def test_a_pending_span_is_cancelled_with_both_times(database: Database) -> None:
    """A span that never started starts and ends at the moment of its cancellation."""
    run = await registered(database)
    await database.do(create_span("a", run, status="pending"))
    await database.refuse(finish_span("a", "complete"), InvalidAction)
    span = await database.do(finish_span("a", "cancelled"))

    assert (span.started_at, span.finished_at) == (NOW + 5, NOW + 5)


async def test_a_span_that_ends_before_it_starts_is_flagged(database: Database) -> None:
    """Clock skew is flagged, and is never a reason to refuse."""
    run = await registered(database)
    await database.do(create_span("a", run))
    span = await database.do(finish_span("a", finished_at=NOW, flags=SENSITIVE_ENCODING))
    born = await database.do(create_span("b", run, status="complete", started_at=9, finished_at=8))

    assert span.flags == FINISHED_BEFORE_STARTED | SENSITIVE_ENCODING
    assert born.flags == FINISHED_BEFORE_STARTED


async def test_the_same_key_counts_a_span_once(database: Database) -> None:
    """A span sent twice with one key, in one batch or two, is stored and counted once."""
    run = await registered(database)
    create = create_span("a", run, request=request(key="k"))
    first = await database.submit(create, create)
    second = await database.submit(create)

    assert [one.replayed for one in [*first, *second]] == [False, True, True]  # type: ignore[union-attr]
    assert (await database.run("run")).active_spans == 1


async def test_a_deployment_token_sees_its_own_spans(database: Database) -> None:
    """Runs and spans of another agent or environment do not exist for a deployment token."""
    run = await registered(database)
    await database.do(create_span("a", run, principal=deployed(run.agent_id)))

    for stranger in (deployed("other"), deployed(run.agent_id, STAGING)):
        await database.refuse(create_span("b", run, principal=stranger), NotFound)
        refusal = await database.refuse(finish_span("a", principal=stranger), NotFound)
        assert refusal.message == "Span 'a' not found"
    await database.do(finish_span("a", principal=deployed(run.agent_id)))
