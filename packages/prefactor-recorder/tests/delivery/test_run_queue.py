"""A queue per run: failures of one run do not hold up the others."""

from __future__ import annotations

import pytest

from planner_fixture import WINDOW, World
from prefactor_recorder.delivery.outcomes import Disposition, Outcome
from prefactor_recorder.delivery.planner import MAX_FAILURES

LATER = Outcome(Disposition.RETRY, {"code": "unexpected", "message": "No"})


# --- Queues --------------------------------------------------------------------------------------


def test_a_failing_queue_does_not_delay_the_others() -> None:
    """The queue of an item that fails waits longer each time, and the others continue."""
    world = World()
    world.run("run-00000001").begin().span("span-00000001")
    world.run("run-00000002").begin().span("span-00000002").span("span-00000003")
    world.server.trouble["span-00000001-create"] = 3
    world.read()
    waits: list[float] = []
    while world.planner.held:
        batch = world.cut()
        if batch is None:
            waits.append(world.planner.next_release - world.now)
            world.now = world.planner.next_release
        else:
            world.answer(batch, world.send(batch))
            assert "span-00000003" in world.server.spans or world.requests == 1
    assert set(world.server.spans) == {"span-00000001", "span-00000002", "span-00000003"}
    assert world.requests == 1 + 1 + 3
    assert len(waits) == 3
    assert waits == sorted(waits)
    assert 0.75 <= waits[0] <= 1.25


def test_nothing_is_given_up_while_everything_fails() -> None:
    """An item is retried without limit as long as everything else fails too."""
    world = World()
    world.run().register()
    world.read()
    for _ in range(50):
        world.now = max(world.now, world.planner.next_release) if world.requests else 0
        batch = world.cut()
        assert batch is not None
        world.requests += 1
        world.ack(world.planner.apply(batch, [LATER], world.now))
    assert world.dead_lettered == {}
    assert 45 <= world.planner.next_release - world.now <= 60


def test_an_item_that_fails_while_others_succeed_is_given_up() -> None:
    """An item that keeps failing while others succeed is dead-lettered, and its queue continues."""
    world = World()
    world.run("run-00000001").begin().span("span-00000001").span("span-00000002")
    world.server.trouble["span-00000001-create"] = 1000
    other = world.run("run-00000002").begin()
    for number in range(3 * MAX_FAILURES):
        other.span(f"span-1{number:07}")
        world.read()
        while batch := world.cut():
            world.answer(batch, world.send(batch))
        world.now += 100
    assert world.dead_lettered == {
        "span-00000001-create": "unexpected",
        "span-00000001-finish": "unexpected",
    }
    assert "span-00000002" in world.server.spans


def test_queues_retry_as_soon_as_the_server_recovers() -> None:
    """Queues that failed while everything failed try again as soon as something succeeds."""
    world = World()
    world.run().register()
    world.read()
    batch = world.cut()
    assert batch is not None
    world.planner.apply(batch, [LATER], world.now)
    assert world.cut() is None
    world.planner.unblock()
    assert world.cut() is not None


def test_blocked_queues_leave_room_for_the_others() -> None:
    """Blocked items do not fill the window, up to a limit."""
    world = World()
    run = world.run("run-00000001").begin()
    while world.journal.unread < WINDOW // 2:
        run.create(f"span-{world.journal.unread:08}", f'{{"t":"{"x" * 1000}"}}')
    world.read()
    before = world.planner.room
    batch = world.cut(items=1)
    assert batch is not None
    world.ack(world.planner.apply(batch, [LATER], 0))
    assert before < WINDOW * 0.51
    assert world.planner.room == WINDOW
    world.now = 100
    assert world.cut() is not None
    assert world.planner.room <= before


def test_a_refused_run_ends_its_queue() -> None:
    """After a refused register, nothing else of its run is sent, now or later."""
    world = World()
    run = world.run("run-00000001").begin().span("span-00000001")
    world.run("run-00000002").begin()
    world.server.refusals["run-00000001"] = "validation_errors"
    world.drain()
    run.span("span-00000002").finish()
    world.drain()
    assert world.requests == 3  # once more without the version
    assert world.server.runs == {"run-00000002": "active"}
    assert len(world.dead_lettered) == 7
    assert set(world.dead_lettered.values()) == {"validation_errors", "run_refused"}


def test_the_end_of_a_refused_span_is_not_sent() -> None:
    """The finish of a refused span is not sent, whenever it is recorded."""
    world = World()
    run = world.run().begin().create("span-00000001")
    world.server.refusals["span-00000001"] = "validation_errors"
    world.drain()
    run.end("span-00000001").finish()
    requests = world.requests
    world.drain()
    assert world.requests == requests + 1
    assert world.dead_lettered["span-00000001-finish"] == "span_refused"
    assert world.server.runs[run.id] == "complete"


def test_a_conflict_on_a_registration_is_checked() -> None:
    """A conflict on a register is a success if the run exists, and a refusal if not."""
    world = World()
    world.run("run-00000001").register()
    world.server.runs["run-00000001"] = "pending"
    world.run("run-00000002").register()
    world.server.refusals["run-00000002"] = "idempotency_key_already_used"
    world.drain()
    assert world.keys == ["run-00000001-register"]
    assert world.dead_lettered == {"run-00000002-register": "idempotency_key_already_used"}


def test_an_unchecked_run_waits() -> None:
    """When the server does not say whether it has a run, its queue waits."""
    world = World()
    world.run().register().start()
    world.read()
    batch = world.cut()
    assert batch is not None
    conflict = {"code": "invalid_action", "message": "known"}
    settlement = world.planner.apply(
        batch, [Outcome(Disposition.LOOK_UP_RUN, conflict), Outcome(Disposition.NOT_PROCESSED)], 0.0
    )
    assert settlement.run_lookups == [("run-00000001", conflict)]
    assert world.cut() is None
    world.planner.apply_lookup("run-00000001", conflict, 0.0, exists=None)
    assert world.cut() is None
    world.now = world.planner.next_release
    world.drain()
    assert world.server.runs == {"run-00000001": "active"}


def test_spans_wait_for_a_run_that_another_process_registers() -> None:
    """Spans of an unknown run wait, because another process may still register it."""
    world = World()
    world.run("run-00000001").span("span-00000001")
    world.read()
    for _ in range(3):
        batch = world.cut()
        assert batch is not None
        world.answer(batch, world.send(batch))
        world.now = world.planner.next_release
    world.server.runs["run-00000001"] = "active"
    world.drain()
    assert set(world.server.spans) == {"span-00000001"}
    assert world.dead_lettered == {}


def test_a_late_registration_is_sent_first() -> None:
    """A register adopted from a dead process is sent at once, before what waits for it."""
    world = World()
    run = world.run().create("span-00000001").create("span-00000002")
    world.read()
    batch = world.cut()
    assert batch is not None
    world.answer(batch, world.send(batch))
    run.register()
    world.read()
    batch = world.cut()
    assert batch is not None
    assert next(iter(batch.items)) == "run-00000001-register"
    world.answer(batch, world.send(batch))
    assert set(world.server.spans) == {"span-00000001", "span-00000002"}


def test_an_unregistered_run_is_given_up() -> None:
    """While others succeed, an unknown run is dead-lettered with all its records."""
    world = World()
    world.run("run-00000001").span("span-00000001").span("span-00000002")
    other = world.run("run-00000002").begin()
    for number in range(3 * MAX_FAILURES):
        other.span(f"span-1{number:07}")
        world.read()
        while batch := world.cut():
            world.answer(batch, world.send(batch))
        world.now += 100
    assert world.dead_lettered == {
        "span-00000001-create": "not_found",
        "span-00000001-finish": "not_found",
        "span-00000002-create": "run_unknown",
        "span-00000002-finish": "run_unknown",
    }


def test_an_item_missing_from_a_known_run_is_rejected() -> None:
    """An item that is not found in a known run is rejected permanently."""
    world = World()
    run = world.run().begin()
    world.drain()
    world.server.runs.clear()
    run.span("span-00000001")
    world.drain()
    assert world.dead_lettered == {
        "span-00000001-create": "not_found",
        "span-00000001-finish": "not_found",
    }


@pytest.mark.parametrize("code", ["bad_authtoken", "not_authenticated"])
def test_a_rejected_token_harms_no_item(code: str) -> None:
    """Items that met a rejected token are sent again unchanged."""
    world = World()
    world.run().begin()
    world.read()
    batch = world.cut()
    assert batch is not None
    refusal = {"status": "error", "code": code, "message": "No"}
    world.answer(batch, {"run-00000001-register": refusal})
    world.drain()
    assert world.server.runs == {"run-00000001": "active"}


def test_a_forbidden_item_is_retried_slowly() -> None:
    """An item that the token may not send waits a minute, because its rights can change."""
    world = World()
    world.run("run-00000001").register()
    world.run("run-00000002").register()
    world.server.refusals["run-00000001"] = "not_permitted"
    world.read()
    batch = world.cut()
    assert batch is not None
    world.answer(batch, world.send(batch))
    batch = world.cut()
    assert batch is not None
    world.answer(batch, world.send(batch))
    assert world.planner.next_release == 60
    world.server.refusals.clear()
    world.drain()
    assert world.server.runs == {"run-00000001": "pending", "run-00000002": "pending"}
