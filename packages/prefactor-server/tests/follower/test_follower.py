"""The follower keeps every consumer up to date, whatever fails."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import structlog.testing
from postgres_database import do, submit
from rows import ACCOUNT, create_span, finish, register, start
from tally import Tally, catch_up, follower_of

from prefactor_server.background import in_background
from prefactor_server.domain.change import Change
from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.runs.cost import NO_PRICES
from prefactor_server.domain.runs.run_span_type import RunSpanType
from prefactor_server.domain.runs.run_total import RunTotal
from prefactor_server.follower import Attached, CommitSignal, Consumer, Follower
from prefactor_server.follower.backfill import RESET
from prefactor_server.follower.run_totals import RunTotalsConsumer
from prefactor_server.follower.span_types import SpanTypesConsumer
from prefactor_server.storage.feed import Deleted, Derived


async def test_a_new_consumer_receives_existing_rows(storage: Any) -> None:
    """Rows from before the feed, or before a consumer, are filled in; then it follows the feed."""
    await do(storage, register("run-1"))
    tally = Tally()
    follower = follower_of(storage, tally)
    await catch_up(follower)
    await do(storage, register("run-2"))
    await catch_up(follower)

    assert tally.counts == {("run", "run-1"): 1, ("run", "run-2"): 1}
    assert follower.lags["tally"][1:] == (0, None)


async def test_two_servers_share_the_work(storage: Any) -> None:
    """One of two followers works at a time, and a change between them applies nothing twice."""
    tally = Tally()
    first = follower_of(storage, tally, holder="first")
    second = follower_of(storage, tally, holder="second")
    await catch_up(first)
    await do(storage, register("run-1"))

    assert not await second.turn()
    assert second.lags["tally"].positions > 0
    assert second.lags["tally"].since is not None
    await first._lease.release()
    await catch_up(second)
    await catch_up(first)
    assert tally.counts == {("run", "run-1"): 1}


async def test_a_failing_consumer_delays_no_other(storage: Any) -> None:
    """Other consumers continue while one fails, and it is retried later from where it was."""
    broken, sound = Tally(), Tally()
    sound.name = "sound"
    broken.broken = True
    follower = follower_of(storage, broken, sound)
    await do(storage, register("run-1"))
    await catch_up(follower)
    await catch_up(follower)

    assert (broken.counts, sound.counts) == ({}, {("run", "run-1"): 1})
    broken.broken = False
    for watched in follower._consumers:
        watched.not_before = 0.0
    await catch_up(follower)
    assert broken.counts == sound.counts


async def test_each_failure_of_a_consumer_is_logged(storage: Any) -> None:
    """A failure and a recovery are one line each, without the message, which may quote data."""
    tally = Tally()
    follower = follower_of(storage, tally)
    (watched,) = follower._consumers
    with structlog.testing.capture_logs() as logs:
        for number in range(2):
            await do(storage, register(f"run-{number}"))
            for tally.broken in (True, True, False):
                watched.not_before = 0.0
                await catch_up(follower)

    assert [(one["event"], one["consumer"]) for one in logs] == [
        ("consumer_failed", "tally"),
        ("consumer_recovered", "tally"),
    ] * 2
    assert "a mistake" not in str(logs)


async def test_the_follower_outlives_a_bug(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that fails unexpectedly is tried again, so that derived data does not stand still."""
    await do(storage, register("run-1"))
    tally = Tally()
    follower = follower_of(storage, tally)
    status = storage.feed.status

    async def fail_once() -> Any:
        monkeypatch.setattr(storage.feed, "status", status)
        raise RuntimeError("a mistake")

    monkeypatch.setattr(storage.feed, "status", fail_once)
    async with in_background([follower.run()]), asyncio.timeout(60):
        while not tally.counts:  # noqa: ASYNC110 - a turn causes no event
            await asyncio.sleep(0.01)
    assert tally.counts == {("run", "run-1"): 1}


class _Unwritable(Consumer):
    """Derives rows that no database can write."""

    name = "unwritable"

    async def apply(self, changes: Sequence[Change]) -> Derived:
        """Fail in the transaction that writes the rows."""
        return Derived(decide=_fail)

    async def reset(self) -> Derived | None:
        """Nothing was written."""
        return None


def _fail(_snapshots: object) -> None:
    raise ValueError("a mistake")


async def test_rows_that_cannot_be_written_delay_no_others(storage: Any) -> None:
    """If the rows of one consumer cannot be written, those of the others are."""
    consumers = [_Unwritable(), SpanTypesConsumer(storage), RunTotalsConsumer(storage, NO_PRICES)]
    follower = Follower(
        storage.feed, [*map(Attached, consumers)], CommitSignal(), holder="test", now_us=lambda: 1
    )
    await catch_up(follower)
    await submit(storage, register("run-1"), start("run-1"))
    run = await storage.instance(ACCOUNT, "run-1")
    await submit(storage, create_span("span-1", run), finish("run-1"))
    await catch_up(follower)

    assert follower.lags["unwritable"].positions > 0
    assert follower.lags["span_types"].positions == follower.lags["run_totals"].positions == 0
    assert await storage.feed.some(RunSpanType, 9) == [
        Deleted(RunSpanType, (ACCOUNT, "run-1", "llm"))
    ]
    assert await storage.feed.some(RunTotal, 9) == [Deleted(RunTotal, (ACCOUNT, "run-1"))]


async def test_a_state_from_another_copy_starts_over(storage: Any) -> None:
    """A consumer that is ahead of the feed, as after a restored backup, is rebuilt by itself."""
    await do(storage, register("run-1"))
    tally = Tally()
    follower = follower_of(storage, tally)
    await catch_up(follower)
    assert tally.state is not None
    tally.state = tally.state._replace(position=tally.state.position + 1000)
    tally.counts["run", "of another copy"] = 1
    await catch_up(follower)

    assert tally.counts == {("run", "run-1"): 1}


async def test_a_rebuild_is_requested_by_the_state(storage: Any) -> None:
    """A state of RESET deletes what was derived, and derives it again."""
    await do(storage, register("run-1"))
    tally = Tally()
    follower = follower_of(storage, tally)
    await catch_up(follower)
    assert tally.state is not None
    tally.state = tally.state._replace(backfill=RESET)
    await catch_up(follower)

    assert tally.counts == {("run", "run-1"): 1}


async def test_it_wakes_at_a_commit_and_stops_on_request(storage: Any) -> None:
    """A running follower applies a commit when notified, and releases its lease when it stops."""
    tally = Tally()
    follower = follower_of(storage, tally)
    running = asyncio.create_task(follower.run())
    while tally.state is None or tally.state.backfill is not None:
        await tally.move()
    await do(storage, register("run-1"))
    follower._waiter._event.set()
    while not tally.counts:
        await tally.move()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert await storage.feed.take_lease("follower", "another", 0, 1)


async def test_a_follower_waits_for_its_database(storage: Any, monkeypatch: Any) -> None:
    """A follower continues once its database can be reached again."""
    tally = Tally()
    follower = follower_of(storage, tally)
    feed = type(storage.feed)
    status = feed.status
    asked = asyncio.Event()

    async def away(_self: Any) -> int:
        asked.set()
        raise Unavailable("away")

    monkeypatch.setattr(feed, "status", away)
    running = asyncio.create_task(follower.run())
    await asked.wait()
    monkeypatch.setattr(feed, "status", status)
    follower._waiter._event.set()
    await tally.move()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
