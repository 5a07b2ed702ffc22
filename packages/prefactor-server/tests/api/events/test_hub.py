"""The hub over a test feed: order, resumption, loss, and limits."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from rows import ACCOUNT, OTHER_ACCOUNT, principal

from patience import patience
from prefactor_server.api.events.hub import (
    Draining,
    EventHub,
    EventLimits,
    Subscription,
    TooManyStreams,
)
from prefactor_server.api.events.log import MAX_MESSAGES
from prefactor_server.domain.change import Change
from prefactor_server.domain.errors import Overloaded, Unavailable
from prefactor_server.domain.event import ChangedRows, EventFilter
from prefactor_server.http.memory_budget import MemoryBudget
from prefactor_server.queries.event import EventQueries

QUICK = EventLimits(window_seconds=0.001, poll_seconds=0.01)
ALL = EventFilter.for_caller(principal())


class Feed:
    """An in-memory feed, and a storage without rows: every run counts as deleted."""

    def __init__(self) -> None:
        self.feed = self
        self.rows: list[Change] = []
        self.first = 0
        self.reads = 0
        self.failing: Exception | None = None

    def commit(self, *run_ids: str, account_id: str = ACCOUNT) -> int:
        """Add a commit; its position."""
        position = self.rows[-1].position + 1 if self.rows else 1
        self.rows += [Change(position, account_id, one, 0, 0) for one in run_ids]
        return position

    async def position(self) -> int:
        if isinstance(self.failing, LookupError):
            raise self.failing
        return self.rows[-1].position if self.rows else 0

    async def pruned_to(self) -> int:
        return self.first

    async def changes(self, after: int, limit: int) -> list[Change]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.failing is not None:
            raise self.failing
        found = [one for one in self.rows if one.position > after][:limit]
        last = found[-1].position if found else 0
        return [one for one in self.rows if after < one.position <= last]

    async def listen(self, _on_commit: object) -> None:
        pass

    async def rows_by_id(self, *_asked: object) -> list[Any]:
        await asyncio.sleep(0)
        return []


def rendered(position: int, rows: ChangedRows, _which: EventFilter) -> bytes:
    """A message that has the ids of the runs."""
    return f"{position}:{','.join(rows.changes)}".encode()


def hub_over(feed: Feed, limits: EventLimits = QUICK, budget: int = 0) -> EventHub:
    """A hub over a feed."""
    queries = EventQueries(cast("Any", feed))
    return EventHub(queries, rendered, limits=limits, budget=MemoryBudget(budget))


@asynccontextmanager
async def running() -> AsyncGenerator[tuple[Feed, EventHub]]:
    """A feed with a hub over it."""
    feed = Feed()
    hub = hub_over(feed)
    yield feed, hub
    hub.close()


async def told(subscription: Subscription, until: Callable[[], bool]) -> list[bytes]:
    """Return what a subscriber receives until a condition holds."""
    found: list[bytes] = []
    async with asyncio.timeout(patience(10)):
        while not until():
            while (message := subscription.take()) is not None:
                found.append(message.data)
            if not until():
                await subscription.wait()
    return found


async def everything(subscription: Subscription, last: int) -> list[str]:
    """Return the runs that a subscriber receives up to a position, backlog first."""
    found: list[bytes] = []
    async for message in subscription.backlog():
        assert message is not None
        found.append(message.data)
    async with asyncio.timeout(patience(10)):
        while not found or int(found[-1].split(b":")[0]) < last:
            message = subscription.take()
            if message is None:
                await subscription.wait()
            else:
                found.append(message.data)
    positions = [int(one.split(b":")[0]) for one in found]
    assert positions == sorted(set(positions))
    return [run_id for one in found for run_id in one.decode().split(":")[1].split(",")]


async def test_order() -> None:
    """Subscribers that join and resume at any time receive each commit once, in order."""
    async with running() as (feed, hub):
        first = await hub.subscribe(ALL, None)
        others: list[tuple[int, Subscription]] = []

        async def write() -> None:
            for number in range(300):
                feed.commit(f"r{number}")
                hub.wake()
                if number % 50 == 49:
                    after = number - 40
                    others.append((after, await hub.subscribe(ALL, after)))
                await asyncio.sleep(0)

        writing = asyncio.create_task(write())
        assert await everything(first, 300) == [f"r{number}" for number in range(300)]
        await writing
        for after, other in others:
            # Position n is the commit of run n - 1.
            assert await everything(other, 300) == [f"r{number}" for number in range(after, 300)]


async def test_one_reader() -> None:
    """However many subscribe, the feed is read once, and equal filters share messages."""
    async with running() as (feed, hub):
        subscribers = [await hub.subscribe(ALL, None) for _ in range(20)]
        feed.reads = 0
        feed.commit("r")
        hub.wake()
        messages = {id(one) for each in subscribers for one in await told_one(each)}

        assert len(messages) == 1
        assert feed.reads < 5


async def told_one(subscription: Subscription) -> list[bytes]:
    """The next message of a subscriber."""
    async with asyncio.timeout(patience(10)):
        while (message := subscription.take()) is None:
            await subscription.wait()
    return [message.data]


async def test_nothing_is_read_without_subscribers() -> None:
    """Without subscribers the hub reads nothing."""
    async with running() as (feed, hub):
        subscription = await hub.subscribe(ALL, None)
        subscription.close()
        feed.reads = 0
        hub.wake()
        await asyncio.sleep(0.05)

        assert feed.reads == 0
        assert hub.streams == 0


async def test_other_accounts() -> None:
    """A subscriber receives no message of another account."""
    async with running() as (feed, hub):
        other = await hub.subscribe(ALL._replace(account_id=OTHER_ACCOUNT), None)
        mine = await hub.subscribe(ALL, None)
        feed.commit("mine")
        hub.wake()
        await told_one(mine)

        assert other.take() is None


async def test_slow_reader() -> None:
    """A slow reader loses messages and has to reload; the log's memory stays bounded."""
    async with running() as (feed, hub):
        slow = await hub.subscribe(ALL, None)
        quick = await hub.subscribe(ALL, None)
        for number in range(2 * MAX_MESSAGES):
            feed.commit(f"r{number}")
            hub.wake()
            await told_one(quick)

        assert slow.has_lost
        assert not quick.has_lost
        slow.skip_all()
        feed.commit("next")
        hub.wake()
        assert await told_one(slow) == await told_one(quick)


async def test_without_memory_only_the_newest_message_is_kept() -> None:
    """While other requests use up the memory budget, at most the newest message is kept."""
    feed = Feed()
    hub = hub_over(feed, budget=1)
    slow, quick = await hub.subscribe(ALL, None), await hub.subscribe(ALL, None)
    for number in range(5):
        feed.commit(f"r{number}")
        hub.wake()
        await told_one(quick)

    assert slow.has_lost
    hub.close()


@pytest.mark.parametrize("after", [3, 2])
async def test_too_old(after: int) -> None:
    """A subscriber that resumes before the feed's oldest change has to reload."""
    async with running() as (feed, hub):
        for number in range(9):
            feed.commit(f"r{number}")
        feed.rows, feed.first = feed.rows[4:], 4
        subscription = await hub.subscribe(ALL, after)

        assert [one async for one in subscription.backlog()] == [None]


async def test_ahead() -> None:
    """A subscriber that resumes ahead of this replica receives nothing twice."""
    async with running() as (feed, hub):
        feed.commit("a")
        await hub.subscribe(ALL, None)
        feed.commit("b")
        resumed = await hub.subscribe(ALL, 2)
        feed.commit("c")
        hub.wake()

        assert resumed.begin == 2
        assert await everything(resumed, 3) == ["c"]


async def test_failures() -> None:
    """A feed that cannot be read is read again later; a slice that breaks the hub is skipped."""
    async with running() as (feed, hub):
        subscription = await hub.subscribe(ALL, None)
        feed.failing = Unavailable("away")
        feed.commit("a")
        hub.wake()
        await asyncio.sleep(0.02)
        feed.failing = None
        assert await everything(subscription, 1) == ["a"]
        feed.failing = ValueError("broken")
        feed.commit("b")
        hub.wake()
        await told(subscription, lambda: subscription.has_lost)
        subscription.skip_all()
        feed.failing = None
        feed.commit("c")
        hub.wake()
        assert await everything(subscription, 3) == ["c"]


async def test_everything_fails() -> None:
    """After any error, even one that also keeps the hub from skipping changes, it reads on."""
    async with running() as (feed, hub):
        subscription = await hub.subscribe(ALL, None)
        feed.failing = LookupError("broken")
        feed.commit("a")
        hub.wake()
        reads = feed.reads
        async with asyncio.timeout(patience(30)):
            while feed.reads < reads + 2:  # noqa: ASYNC110 - a read causes no event
                await asyncio.sleep(0.01)
        feed.failing = None
        hub.wake()

        assert await everything(subscription, 1) == ["a"]


async def test_caps() -> None:
    """Streams of an account and of the server are bounded, and a closed one makes room."""
    hub = hub_over(Feed(), EventLimits(max_streams=3, max_streams_per_account=2))
    first = await hub.subscribe(ALL, None)
    await hub.subscribe(ALL, None)
    with pytest.raises(Overloaded):
        await hub.subscribe(ALL, None)
    await hub.subscribe(ALL._replace(account_id=OTHER_ACCOUNT), None)
    first.close()
    first.close()
    await hub.subscribe(ALL, None)
    with pytest.raises(TooManyStreams):
        await hub.subscribe(ALL._replace(account_id="third"), None)
    hub.close()
    assert hub.streams == 0
    with pytest.raises(Draining):
        await hub.subscribe(ALL, None)
