"""The planner: every record arrives once and in order, or is dead-lettered."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_model import BulkModel
from prefactor_recorder.delivery.bulk_items import encode_bulk, encode_item
from prefactor_recorder.delivery.outcomes import Disposition, Outcome, item_outcome
from prefactor_recorder.delivery.planner import MAX_FAILURES, Planner, Settlement
from prefactor_recorder.delivery.rejections import REMEMBERED
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.journal.memory import MemoryJournal
from recorded import RecordedRun

if TYPE_CHECKING:
    from prefactor_recorder.delivery.run_queue import Batch
    from prefactor_recorder.journal.base import Entry

WINDOW = 2**20
LATER = Outcome(Disposition.RETRY, {"code": "unexpected", "message": "No"})


class World:
    """A journal, a planner, a model of the server, and a clock that only tests move."""

    def __init__(self, seed: int = 0) -> None:
        self.journal = MemoryJournal(2**30)
        self.server = BulkModel()
        self.planner = Planner(WINDOW, random.Random(seed).random)
        self.now = 0.0
        self.requests = 0
        self.delivered: list[Entry] = []
        self.dead_lettered: dict[str, str] = {}

    def run(self, run_id: str = "run-00000001") -> RecordedRun:
        """A run that records into the journal."""
        return RecordedRun(self.journal, run_id)

    def read(self, limit: int = 2**30) -> None:
        """Let the planner have what was recorded."""
        self.ack(self.planner.add(self.journal.read(limit)))

    def cut(self, items: int = 1000, size: int = 2**22) -> Batch | None:
        """The next request."""
        return self.planner.next_batch(self.now, items, size)

    def send(self, batch: Batch) -> dict[str, Any]:
        """Have the server process a request."""
        self.requests += 1
        return self.server.bulk(batch.encode())

    def answer(self, batch: Batch, outputs: dict[str, Any]) -> None:
        """Let the planner know what the server said, and answer what it asks then."""
        outcomes = [item_outcome(item, outputs.get(key)) for key, item in batch.items.items()]
        settlement = self.planner.apply(batch, outcomes, self.now)
        self.ack(settlement)
        for run_id, refusal in settlement.run_lookups:
            there = run_id in self.server.runs
            self.ack(self.planner.apply_lookup(run_id, refusal, self.now, exists=there))

    def ack(self, settlement: Settlement) -> None:
        """Take note of what is done with."""
        self.delivered += settlement.delivered
        self.dead_lettered |= {
            entry.record.key: refusal["code"] for entry, refusal in settlement.dead_lettered
        }

    def drain(self, items: int = 1000, size: int = 2**22) -> None:
        """Send until nothing is left, waiting for blocked queues."""
        self.read()
        for _ in range(10_000):
            batch = self.cut(items, size)
            if batch is not None:
                self.answer(batch, self.send(batch))
            elif self.planner.held:
                self.now = max(self.now, self.planner.next_release)
            else:
                return
        raise AssertionError("there is no end to it")

    @property
    def keys(self) -> list[str]:
        """The keys of everything that was delivered, in order."""
        return [entry.record.key for entry in self.delivered]


def one_by_one(entries: list[Entry]) -> BulkModel:
    """What a server holds that was told each record by itself, in order."""
    server = BulkModel()
    for entry in entries:
        server.bulk(encode_bulk([encode_item(entry.record.key, entry.record, None)]))
    return server


# --- Stories: a few runs, whose records come in any order that a program could make them ---------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "end", "span", "finish"]),
        st.integers(0, 3),  # which run
        st.integers(0, 9),  # which of its spans
    ),
    max_size=40,
)


def tell(world: World, steps: list[tuple[str, int, int]]) -> None:
    """Record a story; what a program cannot do (end what did not begin) is left out."""
    runs = [world.run(f"run-{number:08}") for number in range(4)]
    begun: set[str] = set()
    ended: set[str] = set()
    for what, which, number in steps:
        run, span = runs[which], f"span-{which}-{number:06}"
        if run.id in ended:
            continue
        if run.id not in begun:
            begun.add(run.id)
            run.begin()
        if what in {"create", "span"} and span not in begun:
            begun.add(span)
            run.create(span, json.dumps({"n": number}))
        if what in {"end", "span"} and span in begun - ended:
            ended.add(span)
            run.end(span, "failed" if number % 2 else "complete", json.dumps({"r": number}))
        if what == "finish":
            ended.add(run.id)
            run.finish()


def assert_in_order(world: World, entries: list[Entry]) -> None:
    """Within each run, what took effect did so in the order of the records, merged ones aside."""
    place = {entry.record.key: number for number, entry in enumerate(entries)}
    run_of = {entry.record.key: entry.record.run_id for entry in entries}
    last: dict[str, int] = defaultdict(int)
    for key in world.server.order:
        assert place[key] >= last[run_of[key]]
        last[run_of[key]] = place[key]


@given(steps=STEPS, cuts=st.lists(st.integers(1, 2000), max_size=30), data=st.data())
@settings(max_examples=150)
def test_whatever_happens_everything_arrives_once_and_in_order(
    steps: list[tuple[str, int, int]], cuts: list[int], data: st.DataObject
) -> None:
    """Lost requests, lost replies, several under way, little by little: the server ends up right.

    Every record comes out of exactly one settlement, requests under way have no run in common, and
    the server holds what it would hold had it been told each record by itself.
    """
    world = World()
    tell(world, steps)
    entries = world.journal.read(2**30)
    pieces = iter(entries)
    flying: list[Batch] = []
    for size in cuts:
        world.ack(world.planner.add(islice(pieces, size % 7)))
        batch = world.cut(items=1 + size % 5, size=size)
        if batch is not None:
            flying.append(batch)
        busy = [queue.run_id for each in flying for queue in each.queues]
        assert len(busy) == len(set(busy))
        if flying and data.draw(st.booleans()):
            batch = flying.pop(data.draw(st.integers(0, len(flying) - 1)))
            match data.draw(st.sampled_from(["well", "never sent", "reply lost", "well", "well"])):
                case "well":
                    world.answer(batch, world.send(batch))
                case "never sent":
                    world.planner.requeue(batch, sent=False)
                case _:
                    world.send(batch)
                    world.planner.requeue(batch, sent=True)
    for batch in flying:
        world.planner.requeue(batch, sent=True)
    world.ack(world.planner.add(pieces))
    world.drain()

    assert Counter(world.keys) == Counter(entry.record.key for entry in entries)
    expected = one_by_one(entries)
    assert (world.server.runs, world.server.spans) == (expected.runs, expected.spans)
    assert max(Counter(world.server.order).values(), default=1) == 1
    assert_in_order(world, entries)
    assert world.planner.held_bytes == world.planner.ready_items == world.planner.ready_bytes == 0


@given(steps=STEPS, crash=st.integers(0, 30), before=st.booleans(), expired=st.booleans())
@settings(max_examples=100)
def test_a_crash_between_delivery_and_acknowledgement_doubles_nothing(
    steps: list[tuple[str, int, int]], crash: int, before: bool, expired: bool
) -> None:
    """What was sent once alone, and once merged after a crash (or the reverse), is there once."""
    first = World()
    tell(first, steps)
    entries = first.journal.read(2**30)
    first.ack(first.planner.add(entries[: crash if before else len(entries)]))
    for _ in range(crash):  # delivered, and never acknowledged
        batch = first.cut(items=3)
        if batch is None:
            break
        first.answer(batch, first.send(batch))
    if expired:
        first.server.forget_keys()

    second = World()
    second.server = first.server
    second.ack(second.planner.add(entries))
    second.drain()

    expected = one_by_one(entries)
    assert (second.server.runs, second.server.spans) == (expected.runs, expected.spans)
    assert Counter(second.keys) == Counter(entry.record.key for entry in entries)
    assert second.dead_lettered == {}


@given(bad=st.sets(st.integers(0, 59), max_size=12), per_run=st.integers(1, 60))
def test_bad_items_cost_one_request_each(bad: set[int], per_run: int) -> None:
    """However they lie, k bad items cost k requests more, and only they are dead-lettered."""
    world = World()
    for number in range(60):
        run = world.run(f"run-{number // per_run:08}")
        if number % per_run == 0:
            run.begin()
        run.span(f"span-{number:08}")
    for number in bad:
        world.server.refusals[f"span-{number:08}"] = "validation_errors"
    world.drain()

    last = 59 in bad
    assert world.requests == len(bad) + (0 if last else 1)
    assert set(world.server.spans) == {f"span-{n:08}" for n in range(60) if n not in bad}
    assert set(world.dead_lettered) == {
        f"span-{number:08}-{verb}" for number in bad for verb in ("create", "finish")
    }


@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=60),
    items=st.integers(1, 20),
    size=st.integers(300, 6000),
)
def test_a_request_keeps_its_limits(sizes: list[int], items: int, size: int) -> None:
    """A body has no more items and no more bytes than allowed, unless one item alone does."""
    world = World()
    for number, length in enumerate(sizes):
        world.run(f"run-{number % 3:08}").create(f"span-{number:08}", f'{{"t":"{"x" * length}"}}')
    world.read()
    sent = 0
    while batch := world.cut(items, size):
        body = batch.encode()
        assert len(json.loads(body)["items"]) == len(batch.items) <= items
        assert len(body) <= size or len(batch.items) == 1
        sent += len(batch.items)
        world.ack(
            world.planner.apply(batch, [Outcome(Disposition.DELIVERED)] * len(batch.items), 0)
        )
    assert sent == len(sizes)


def test_ids_that_need_escaping_keep_within_the_limits_too() -> None:
    """An id full of quotes is sent as what it is, and is reckoned with its escapes."""
    world = World()
    name = '"\\' * 16
    world.run('r"1').span(name.replace('"', "'"))
    entries = world.journal.read(2**20)
    finish = next(e.record for e in entries if e.record.operation is Operation.FINISH_SPAN)
    odd = finish._replace(id=name)
    item = json.loads(encode_item(odd.key, odd, None))
    assert item["agent_span_id"] == name
    assert item["idempotency_key"] == odd.key


# --- Queues --------------------------------------------------------------------------------------


def test_a_lane_that_fails_does_not_hold_up_the_others() -> None:
    """The queue of an item that the server fails on waits, longer each time; the others go on."""
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


def test_what_fails_while_everything_fails_is_never_given_up() -> None:
    """An item is retried without end as long as the server takes nothing else either."""
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


def test_what_fails_while_others_are_taken_is_given_up_in_the_end() -> None:
    """An item on which the server keeps failing is dead-lettered, and its queue goes on."""
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


def test_a_server_that_recovers_finds_nobody_waiting() -> None:
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


def test_blocked_lanes_leave_room_for_the_others() -> None:
    """What waits after a failure does not fill the window, up to a window of its own."""
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


def test_a_refused_run_takes_its_lane_with_it() -> None:
    """Nothing of a run is sent whose register was refused, neither what waits nor what follows."""
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
    """A finish goes where its create went, whenever it is recorded."""
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


def test_a_register_that_is_known_is_asked_for() -> None:
    """A conflict on a register is no refusal if the run is there, and one if it is not."""
    world = World()
    world.run("run-00000001").register()
    world.server.runs["run-00000001"] = "pending"
    world.run("run-00000002").register()
    world.server.refusals["run-00000002"] = "idempotency_key_already_used"
    world.drain()
    assert world.keys == ["run-00000001-register"]
    assert world.dead_lettered == {"run-00000002-register": "idempotency_key_already_used"}


def test_a_run_that_cannot_be_asked_for_is_tried_later() -> None:
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
    """An unknown run is not the end of what was recorded into it: its register may be behind."""
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


def test_a_register_that_comes_late_goes_first() -> None:
    """A register taken over from a dead process is sent before what waits for it, at once."""
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


def test_a_run_that_nobody_registers_is_given_up() -> None:
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


def test_a_run_that_is_gone_from_the_server_costs_its_items_alone() -> None:
    """What is not found in a run that the server knew is refused for good."""
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
def test_a_token_that_stops_working_in_between_harms_no_item(code: str) -> None:
    """Items that met a rejected token are sent again as if nothing had been."""
    world = World()
    world.run().begin()
    world.read()
    batch = world.cut()
    assert batch is not None
    refusal = {"status": "error", "code": code, "message": "No"}
    world.answer(batch, {"run-00000001-register": refusal})
    world.drain()
    assert world.server.runs == {"run-00000001": "active"}


def test_what_is_forbidden_is_tried_slowly() -> None:
    """An item that the token may not send waits a minute; a token can be given more."""
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


def test_a_record_that_is_read_twice_does_not_spoil_a_request() -> None:
    """The same record again is sent in another request, where its key makes it harmless."""
    world = World()
    run = world.run().register()
    run.register()
    world.read()
    batch = world.cut()
    assert batch is not None
    assert len(batch.items) == 1
    world.answer(batch, world.send(batch))
    world.drain()
    assert world.keys == ["run-00000001-register"] * 2


def test_what_is_remembered_of_refusals_is_bounded() -> None:
    """Refusals are remembered for what comes later, but not without end."""
    world = World()
    for number in range(REMEMBERED + 10):
        run = world.run(f"run-{number:08}").register()
        world.server.refusals[run.id] = "validation_errors"
    world.read()
    while batch := world.cut():
        first = next(iter(batch.items.values()))
        outcomes = [Outcome(Disposition.DEAD_LETTER, {"code": "validation_errors"})] * len(
            batch.items
        )
        assert first.record.operation is Operation.REGISTER
        world.ack(world.planner.apply(batch, outcomes, 0.0))
    assert len(world.planner.rejections) == REMEMBERED
