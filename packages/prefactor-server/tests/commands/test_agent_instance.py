"""Start, finish and terminate, and what a termination does to the spans of its run."""

from typing import Any

import pytest
from database import Database
from rows import (
    NOW,
    OTHER_ACCOUNT,
    STAGING,
    create_span,
    deployed,
    finish,
    finish_span,
    principal,
    register,
    request,
    start,
    terminate,
)

from prefactor_server.commands.base import Control
from prefactor_server.domain.errors import InvalidAction, NotFound, RunTerminated
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import CLOSED_BY_TERMINATION


async def started(database: Database) -> AgentInstance:
    """An active run."""
    await database.submit(register("run"), start("run"))
    return await database.run("run")


def statuses(database: Database) -> dict[str, str]:
    """The spans that are stored, with their status."""
    return dict(database.rows("SELECT id, status FROM agent_span ORDER BY id"))


def open_and_cancelled(run: AgentInstance) -> tuple[int, int, int]:
    """The counts that a termination changes."""
    return run.pending_spans, run.active_spans, run.cancelled_spans


async def test_a_run_from_start_to_end(database: Database) -> None:
    """A run is registered, started and finished at the times that its agent sends."""
    await started(database)
    run = await database.do(finish("run", "failed"))

    assert (run.status, run.started_at, run.finished_at) == ("failed", NOW + 1, NOW + 9)
    assert await database.run("run") == run


async def test_a_termination_is_in_the_audit_log(database: Database) -> None:
    """The audit log says who terminated a run, when and why, but not a refused attempt."""
    await started(database)
    await database.do(terminate("run", "runs amok"))
    await database.refuse(terminate("run", "again"), InvalidAction)

    entries = database.rows(
        "SELECT account_id, at, actor, action, resource_id, detail FROM audit_entry "
        "WHERE action LIKE '%terminate'"
    )
    assert entries == [
        ("account-1", NOW, "token-of-the-caller", "agent_instances.terminate", "run", "runs amok")
    ]


@pytest.mark.parametrize("together", [True, False])
async def test_a_termination_closes_the_open_spans(database: Database, together: bool) -> None:
    """A termination closes the spans open before it, and no ended or later ones."""
    run = await started(database)
    commands: list[Any] = [
        create_span("a", run),
        create_span("b", run, status="pending"),
        create_span("c", run, status="failed"),
        create_span("d", run),
        finish_span("d"),
        terminate("run"),
        create_span("e", run),
    ]
    for batch in [commands] if together else [[command] for command in commands]:
        await database.submit(*batch)

    assert statuses(database) == {
        "a": "cancelled",
        "b": "cancelled",
        "c": "failed",
        "d": "complete",
        "e": "active",
    }
    closed = database.rows("SELECT id FROM agent_span WHERE flags & ?", CLOSED_BY_TERMINATION)
    assert sorted(closed) == [("a",), ("b",)]
    assert open_and_cancelled(await database.run("run")) == (0, 1, 2)


async def test_a_termination_closes_stored_spans_that_the_batch_touches(
    database: Database,
) -> None:
    """Spans that a batch finishes before or after the termination keep their own end."""
    run = await started(database)
    for span_id in ("before", "after", "untouched"):
        await database.do(create_span(span_id, run))

    outcomes = await database.submit(
        finish_span("before", "failed"), terminate("run"), finish_span("after")
    )

    assert len(outcomes) == 3
    assert statuses(database) == {
        "before": "failed",
        "after": "complete",
        "untouched": "cancelled",
    }
    found = await database.run("run")
    assert open_and_cancelled(found) == (0, 0, 1)
    assert (found.complete_spans, found.failed_spans) == (1, 1)


@pytest.mark.parametrize("status", ["complete", "failed", "cancelled"])
async def test_a_closed_span_is_finished_once(database: Database, status: str) -> None:
    """A span closed by a termination may end once with its real status, and then never again."""
    run = await started(database)
    await database.submit(create_span("a", run), terminate("run"))

    (done,) = await database.submit(finish_span("a", status))
    await database.refuse(finish_span("a"), RunTerminated)

    assert done.control == Control("enough")  # type: ignore[union-attr]
    assert statuses(database) == {"a": status}
    found = await database.run("run")
    assert found.complete_spans + found.failed_spans + found.cancelled_spans == 1


async def test_a_termination_of_one_run_leaves_the_others(database: Database) -> None:
    """Open spans of other runs, and of the same run id in another account, stay open."""
    theirs = {"request": request(OTHER_ACCOUNT), "principal": principal(OTHER_ACCOUNT)}
    mine = await started(database)
    await database.submit(register("run", request=theirs["request"]), register("run-2"))
    await database.submit(
        create_span("a", mine),
        create_span("b", await database.run("run-2")),
        create_span("a", await database.run("run", OTHER_ACCOUNT)),
        terminate("run"),
    )

    rows = database.rows("SELECT account_id, id, status FROM agent_span ORDER BY 1, 2")
    assert rows == [
        ("account-1", "a", "cancelled"),
        ("account-1", "b", "active"),
        ("account-2", "a", "active"),
    ]


@pytest.mark.parametrize("command", [start, finish, terminate])
async def test_a_deployment_token_sees_its_own_runs(database: Database, command: Any) -> None:
    """A run of another agent or environment does not exist for a deployment token."""
    run = await database.do(register("run"))

    for stranger in (deployed("other"), deployed(run.agent_id, STAGING)):
        refusal = await database.refuse(command("run", principal=stranger), NotFound)
        assert refusal.message == "Agent instance 'run' not found"
    assert await database.run("run") == run


async def test_a_deployment_token_changes_its_own_run(database: Database) -> None:
    """The token of the run's own agent and environment starts and finishes it."""
    run = await database.do(register("run"))
    own = deployed(run.agent_id)

    await database.do(start("run", principal=own))
    assert (await database.do(finish("run", principal=own))).status == "complete"


async def test_an_unknown_run_is_not_found(database: Database) -> None:
    """A run that is unknown, or another account's, cannot be started, finished or terminated."""
    await database.do(register("run", request=request(OTHER_ACCOUNT)))

    for command in (start("run"), finish("run"), terminate("run")):
        assert "not found" in (await database.refuse(command, NotFound)).message
