"""The search index has the words of every span, whatever happens to its follower."""

import asyncio
from typing import Any

from indexing import follower_of_all, index, record, spans_with
from postgres_database import do
from rows import ACCOUNT, NOW, finish
from tally import catch_up
from upkeep import prune_all

from prefactor_server.domain.runs.retention import Retention
from prefactor_server.domain.runs.run_span_type import RunSpanType
from prefactor_server.follower.backfill import RESET
from prefactor_server.follower.search import SearchConsumer
from prefactor_server.storage.feed import Derived


async def test_a_rebuild_gives_the_same_rows(storage: Any) -> None:
    """Built from the feed or from what is stored, the index finds the same."""
    spans = await record(storage, 5)
    await index(storage)
    by_feed = await spans_with(storage, ACCOUNT, "apple")
    state = await storage.search.state()
    store = storage.search.store or storage.feed

    await store.advance(state, state._replace(backfill=RESET), Derived())
    await index(storage)

    assert by_feed == await spans_with(storage, ACCOUNT, "apple") == spans


async def test_a_slice_that_is_applied_again_changes_nothing(storage: Any) -> None:
    """A slice that is applied again, as after a lost commit, leaves the same rows."""
    spans = await record(storage, 3)
    follower = follower_of_all(storage)
    await catch_up(follower)
    consumer = SearchConsumer(storage)
    store = storage.search.store or storage.feed
    changes = await storage.feed.changes(0, 1000)

    for _ in range(2):
        state = await storage.search.state()
        assert await store.advance(state, state, await consumer.apply(changes))
        assert await store.advance(state, state, Derived(deleted=())) is None

    assert await spans_with(storage, ACCOUNT, "apple") == spans


async def test_a_stopped_follower_is_continued(storage: Any) -> None:
    """A follower stopped at any step is continued by the next, and no word is missing."""
    spans = await record(storage, 3)
    for steps in range(0, 60, 3):
        # A lease that was taken too late to be released has expired by then.
        follower = follower_of_all(storage, holder=f"holder-{steps}", now=steps * 10**9)
        task = asyncio.create_task(catch_up(follower))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await follower._lease.release()
        spans += await record(storage, 1, first=len(spans))
    await index(storage, now=10**12)

    assert await spans_with(storage, ACCOUNT, "apple") == sorted(spans)


async def test_pruned_runs_leave_the_index(storage: Any) -> None:
    """Spans of a deleted run are not found, and others still are."""
    spans = await record(storage, 2)
    await index(storage)
    await do(storage, finish("run-0"))
    await prune_all(storage, Retention(ACCOUNT, NOW * 2))
    await index(storage)

    assert await spans_with(storage, ACCOUNT, "apple") == spans[1:]
    assert len(await storage.search.some(10)) == 1
    kept = await storage.feed.some(RunSpanType, 10)
    assert [row.key for row in kept] == [(ACCOUNT, "run-1", "llm")]
