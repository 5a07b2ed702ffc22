"""The change feed has every commit in order, with its changes to each run."""

from typing import Any

import upkeep
from postgres_database import do, submit
from rows import ACCOUNT, NOW, create_span, finish, finish_span, register, start, terminate

from prefactor_server.domain.change import (
    RUN_CHANGED,
    RUN_CREATED,
    RUN_DELETED,
    RUN_ENDED,
    SPANS_CLOSED,
    SPANS_REVISED,
    Change,
)
from prefactor_server.domain.runs.retention import Retention
from prefactor_server.storage.feed import ConsumerState, Derived

ALL = 10_000


async def new_run(storage: Any, run_id: str = "run-1") -> Any:
    """A run that was started."""
    await do(storage, register(run_id))
    await do(storage, start(run_id))
    return await storage.instance(ACCOUNT, run_id)


async def changes(storage: Any, after: int = 0) -> list[Change]:
    """Everything after a position."""
    return list(await storage.feed.changes(after, ALL))


def told(change: Change) -> tuple[str, int, set[str], set[str]]:
    """A change without its position and time."""
    ids, finished = set(change.span_ids), set(change.finished_ids)
    assert (len(ids), len(finished)) == (len(change.span_ids), len(change.finished_ids))
    return change.agent_instance_id, change.flags, ids, finished


async def test_a_run_from_its_registration_to_its_end(storage: Any) -> None:
    """Each commit has a higher position and lists the spans it created, changed and finished."""
    run = await new_run(storage)
    await submit(storage, create_span("a", run), create_span("b", run, status="complete"))
    await do(storage, finish_span("a"))
    await do(storage, finish("run-1"))
    found = await changes(storage)

    assert [told(change) for change in found] == [
        ("run-1", RUN_CREATED, set(), set()),
        ("run-1", RUN_CHANGED, set(), set()),
        ("run-1", 0, {"a", "b"}, {"b"}),
        ("run-1", 0, {"a"}, {"a"}),
        ("run-1", RUN_CHANGED | RUN_ENDED, set(), set()),
    ]
    positions = [change.position for change in found]
    assert positions == sorted(set(positions))
    assert {change.account_id for change in found} == {ACCOUNT}
    assert all(change.at > NOW for change in found)
    assert await storage.feed.position() == positions[-1]
    assert await changes(storage, positions[1]) == found[2:]


async def test_a_termination_finishes_its_spans(storage: Any) -> None:
    """A termination finishes its open spans, and their late finish does not count again."""
    run = await new_run(storage)
    await submit(storage, *(create_span(name, run) for name in ("a", "b", "c")))
    before = await storage.feed.position()
    await submit(storage, create_span("d", run), finish_span("a"), terminate("run-1"))
    await do(storage, finish_span("b"))

    assert [told(change) for change in await changes(storage, before)] == [
        (
            "run-1",
            RUN_CHANGED | RUN_ENDED | SPANS_CLOSED,
            {"a", "b", "c", "d"},
            {"a", "b", "c", "d"},
        ),
        ("run-1", SPANS_REVISED, {"b"}, set()),
    ]


async def test_a_commit_is_never_split(storage: Any) -> None:
    """A commit's changes are returned together, however small the limit."""
    commands = [register(f"run-{number}") for number in range(5)]
    await submit(storage, *commands)
    await submit(storage, register("other"))
    found = await storage.feed.changes(0, 1)

    assert [change.agent_instance_id for change in found] == [f"run-{n}" for n in range(5)]
    (last,) = await storage.feed.changes(found[0].position, 1)
    assert last.agent_instance_id == "other"


async def test_a_refused_write_leaves_no_trace(storage: Any) -> None:
    """A commit that changes no run is not in the feed."""
    await new_run(storage)
    before = await storage.feed.position()
    await submit(storage, start("run-1"))
    await submit(storage, finish_span("nothing"))

    assert await changes(storage, before) == []


async def test_deletions_are_in_the_feed(storage: Any) -> None:
    """The deletion of a run is one change, which stands for its spans as well."""
    await upkeep.run_with_spans(storage, "run-1", spans=3)
    before = await storage.feed.position()
    await upkeep.prune_all(storage, Retention(ACCOUNT, NOW + 1))
    (deleted,) = await changes(storage, before)

    assert (deleted.agent_instance_id, deleted.flags) == ("run-1", RUN_DELETED)
    assert deleted.span_ids == deleted.finished_ids == ()


async def test_a_state_advances_once(storage: Any) -> None:
    """Of two followers that worked on the same slice, one may write, and no other state changes."""
    other = await storage.feed.begin(ConsumerState("another", 3, None))
    first = await storage.feed.begin(ConsumerState("one", 0, None))
    again = await storage.feed.begin(ConsumerState("one", 7, None))
    moved = await storage.feed.advance(first, first._replace(position=5), Derived())
    late = await storage.feed.advance(again, again._replace(position=6), Derived())

    assert (again, late) == (first, None)
    assert moved == ConsumerState("one", 5, None, 1)
    assert await storage.feed.states() == {"another": other, "one": moved}


async def test_a_lease_has_one_holder(storage: Any) -> None:
    """Another holder gets a lease only after it has ended or was released by its holder."""
    feed = storage.feed

    assert await feed.take_lease("other", "first", 0, 99)
    assert await feed.take_lease("l", "first", 0, 10)
    assert await feed.take_lease("l", "first", 5, 15)
    assert not await feed.take_lease("l", "second", 14, 20)
    assert await feed.take_lease("l", "second", 15, 25)
    await feed.release_lease("l", "first")
    assert not await feed.take_lease("l", "first", 16, 20)
    await feed.release_lease("l", "second")
    assert await feed.take_lease("l", "first", 16, 20)
    assert not await feed.take_lease("other", "second", 16, 20)


async def test_old_changes_are_pruned(storage: Any) -> None:
    """Old changes that every consumer has seen are deleted, except for the last commit."""
    await new_run(storage)
    await do(storage, finish("run-1"))
    feed = storage.feed
    first, second, last = await changes(storage)

    assert await feed.prune(first.position, 0) == 0
    assert await feed.prune(first.position, last.at + 1) == 1
    assert await feed.pruned_to() == first.position
    assert await feed.prune(last.position, last.at + 1) == 1
    assert await feed.prune(last.position, last.at + 1) == 0
    assert await changes(storage) == [last]
    assert await feed.pruned_to() == second.position
    await do(storage, register("run-2"))
    assert (await changes(storage))[-1].position > last.position
