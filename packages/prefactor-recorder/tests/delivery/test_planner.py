"""After any failures everything is delivered once and in order, within the limits."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import islice
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_model import BulkModel
from prefactor_recorder.delivery.bulk_items import encode_bulk, encode_item
from prefactor_recorder.delivery.outcomes import Disposition, Outcome
from prefactor_recorder.delivery.rejections import REMEMBERED
from prefactor_recorder.encoding.record import Operation

if TYPE_CHECKING:
    from prefactor_recorder.delivery.run_queue import Batch
    from prefactor_recorder.journal.base import Entry

from planner_fixture import World


def one_by_one(entries: list[Entry]) -> BulkModel:
    """Return a server's state after it received each record alone, in order."""
    server = BulkModel()
    for entry in entries:
        server.bulk(encode_bulk([encode_item(entry.record.key, entry.record, None)]))
    return server


# --- Sequences of records: a few runs, in any order that a program could produce ------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "end", "span", "finish"]),
        st.integers(0, 3),  # which run
        st.integers(0, 9),  # which of its spans
    ),
    max_size=40,
)


def tell(world: World, steps: list[tuple[str, int, int]]) -> None:
    """Record the steps, skipping impossible ones such as ending a span that has not begun."""
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
    """Check that each run's effects follow its records, apart from merged ones."""
    place = {entry.record.key: number for number, entry in enumerate(entries)}
    run_of = {entry.record.key: entry.record.run_id for entry in entries}
    last: dict[str, int] = defaultdict(int)
    for key in world.server.order:
        assert place[key] >= last[run_of[key]]
        last[run_of[key]] = place[key]


@given(steps=STEPS, cuts=st.lists(st.integers(1, 2000), max_size=30), data=st.data())
@settings(max_examples=150)
def test_everything_arrives_once_and_in_order(
    steps: list[tuple[str, int, int]], cuts: list[int], data: st.DataObject
) -> None:
    """After any lost requests and replies, the server has everything once and in order.

    Each record is settled exactly once, requests in flight share no run, and the server has what it
    would have if each record had been sent by itself.
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
def test_a_crash_before_the_ack_duplicates_nothing(
    steps: list[tuple[str, int, int]], crash: int, before: bool, expired: bool
) -> None:
    """What was sent alone, and after a crash merged (or the reverse), exists once."""
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
    """Any k bad items cost k more requests, and only they are dead-lettered."""
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
    """A body has no more items and bytes than allowed, unless one item alone exceeds them."""
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


def test_escaped_ids_count_towards_the_limits() -> None:
    """An id full of quotes arrives unchanged, and its escapes count towards the size limit."""
    world = World()
    name = '"\\' * 16
    world.run('r"1').span(name.replace('"', "'"))
    entries = world.journal.read(2**20)
    finish = next(e.record for e in entries if e.record.operation is Operation.FINISH_SPAN)
    odd = finish._replace(id=name)
    item = json.loads(encode_item(odd.key, odd, None))
    assert item["agent_span_id"] == name
    assert item["idempotency_key"] == odd.key


def test_a_record_read_twice_is_sent_in_another_request() -> None:
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


def test_the_memory_of_rejections_is_bounded() -> None:
    """Rejections are remembered for later records, up to a limit."""
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
