"""Time limits of attempts: what expires, what does not, and whose cancellation it was."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref

import pytest

from prefactor_http import PrefactorHttpClient, PrefactorTimeoutError, RequestOptions
from prefactor_http._transport.limits import Attempt, TimeoutWatcher
from prefactor_http.testing import ScriptedServer, Stall

PING = "/api/v1/ping"


@pytest.fixture
async def watcher() -> TimeoutWatcher:
    """A `TimeoutWatcher` on the running loop."""
    return TimeoutWatcher(asyncio.get_running_loop())


async def outlast(
    watcher: TimeoutWatcher, seconds: float, ended: list[float] | None = None
) -> None:
    """Wait forever under a limit, and note which limit ended it."""
    try:
        with Attempt(watcher, seconds):
            await asyncio.Event().wait()
    except TimeoutError:
        if ended is not None:
            ended.append(seconds)
        raise


async def test_an_attempt_that_outlasts_its_limit(watcher: TimeoutWatcher) -> None:
    """An attempt over its limit times out, and its task is not left cancelled."""
    with pytest.raises(TimeoutError):
        await outlast(watcher, 0.01)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert not watcher.running
    await asyncio.sleep(0)


async def test_limits_expire_in_their_own_order(watcher: TimeoutWatcher) -> None:
    """A short limit expires before a long one that began earlier, which still expires."""
    ended: list[float] = []
    limits = [0.09, 0.01, 0.05, 0.03]
    results = await asyncio.gather(
        *(outlast(watcher, seconds, ended) for seconds in limits), return_exceptions=True
    )
    assert all(isinstance(result, TimeoutError) for result in results)
    assert ended == sorted(limits)


async def test_one_timer_for_all(watcher: TimeoutWatcher) -> None:
    """Attempts of the same length set the timer once, however many there are."""
    set_for: set[float] = set()
    for _ in range(100):
        with Attempt(watcher, 30.0):
            set_for.add(watcher.due)
    assert len(set_for) == 1
    assert not watcher.running


async def test_a_timer_without_attempts_is_not_set_again(watcher: TimeoutWatcher) -> None:
    """When the timer expires and no attempt is running, it is not set again."""
    with Attempt(watcher, 0.01):
        pass
    assert watcher.due < math.inf
    await asyncio.sleep(0.03)
    assert watcher.due == math.inf


async def test_no_limit(watcher: TimeoutWatcher) -> None:
    """An infinite limit sets no timer."""
    with Attempt(watcher, math.inf):
        assert watcher.due == math.inf


async def test_a_cancellation_from_outside(watcher: TimeoutWatcher) -> None:
    """A task that is cancelled from outside is cancelled, and not timed out."""
    task = asyncio.create_task(outlast(watcher, 30.0))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not watcher.running


@pytest.mark.parametrize("outer_first", [True, False])
async def test_cancellation_wins_over_a_timeout(watcher: TimeoutWatcher, outer_first: bool) -> None:
    """A task that is cancelled at the moment of its timeout is cancelled."""
    task = asyncio.create_task(outlast(watcher, 30.0))
    await asyncio.sleep(0)
    [attempt] = watcher.running
    for cancel in (task.cancel, attempt.expire) if outer_first else (attempt.expire, task.cancel):
        cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_inside_asyncio_timeout(watcher: TimeoutWatcher) -> None:
    """The shorter of two nested limits wins, whichever is ours."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await outlast(watcher, 30.0)
    async with asyncio.timeout(30.0):
        with pytest.raises(TimeoutError):
            await outlast(watcher, 0.01)


async def test_a_task_that_ignored_a_cancellation(watcher: TimeoutWatcher) -> None:
    """A task that ignored an earlier cancellation still times out."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    try:
        with pytest.raises(TimeoutError):
            await outlast(watcher, 0.01)
        assert task.cancelling() == 1
    finally:
        task.uncancel()


async def test_another_error_at_the_moment_of_the_timeout(watcher: TimeoutWatcher) -> None:
    """An error that is raised although the limit has expired is not hidden by it."""
    task = asyncio.current_task()
    assert task is not None

    async def fail_while_expiring() -> None:
        with Attempt(watcher, 30.0) as attempt:
            attempt.expire()
            try:
                await asyncio.sleep(0)
            finally:
                raise KeyError

    with pytest.raises(KeyError):
        await fail_while_expiring()
    assert task.cancelling() == 0


async def test_a_finished_attempt_is_released(watcher: TimeoutWatcher) -> None:
    """Nothing keeps a finished attempt alive, although its timer may still be set."""

    async def quick() -> None:
        with Attempt(watcher, 30.0):
            await asyncio.sleep(0)

    task = asyncio.create_task(quick())
    await task
    gone = weakref.ref(task)
    del task
    await asyncio.sleep(0)  # the loop itself holds a task while it wakes those who awaited it
    gc.collect()
    assert gone() is None


async def test_a_stall_ends_at_the_limit_of_its_call() -> None:
    """Each stalled call ends by its own limit, and the others continue."""
    async with ScriptedServer() as server, PrefactorHttpClient(server.config()) as client:
        server.script(Stall(seconds=60), Stall(seconds=60))
        short = RequestOptions(request_timeout=0.05, max_retries=0)
        hung = asyncio.create_task(client.request("GET", PING))
        while not server.requests:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)
        with pytest.raises(PrefactorTimeoutError, match=r"no answer within 0\.05 seconds"):
            await client.request("GET", PING, options=short)
        assert not hung.done()
        assert await client.request("GET", PING)
        hung.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hung
