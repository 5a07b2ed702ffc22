"""Threads run what coroutines await, in order, and end when they are closed."""

import asyncio
import threading

import pytest

from prefactor_server.storage.sqlite.threads import Threads


async def test_a_result_and_an_error_reach_the_caller() -> None:
    """What work returns or raises is what its caller gets."""
    threads = Threads(1, "worker")
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)

    assert await threads.run(lambda: threading.current_thread().name) == "worker"
    threads.close()


async def test_one_thread_works_in_order() -> None:
    """One thread runs all work, each after the one before it."""
    threads = Threads(1, "worker")
    found: list[tuple[int, int]] = []

    def work(number: int) -> None:
        found.append((number, threading.get_ident()))

    await asyncio.gather(*(threads.run(lambda n=number: work(n)) for number in range(50)))
    threads.close()

    assert [number for number, _ in found] == list(range(50))
    assert len({thread for _, thread in found}) == 1


async def test_threads_are_started_when_needed() -> None:
    """Work waits for a thread only when all of them are in use."""
    threads = Threads(2, "worker")
    both = threading.Barrier(2)
    first = await threads.run(threading.get_ident)
    assert await threads.run(threading.get_ident) == first

    await asyncio.gather(threads.run(both.wait), threads.run(both.wait))
    used = await asyncio.gather(*(threads.run(threading.get_ident) for _ in range(20)))
    threads.close()

    assert 1 <= len(set(used)) <= 2


async def test_cancelled_work_is_left_undone() -> None:
    """Work whose caller was cancelled before it began is not done, and the next is."""
    threads = Threads(1, "worker")
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> None:
        begun.set()
        go_on.wait()

    running = asyncio.create_task(threads.run(first))
    await asyncio.to_thread(begun.wait)
    cancelled = asyncio.create_task(threads.run(lambda: done.append("cancelled")))
    last = asyncio.create_task(threads.run(lambda: done.append("last")))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    go_on.set()
    await asyncio.gather(running, last)
    threads.close()

    assert done == ["last"]


async def test_a_cancelled_caller_leaves_its_thread_in_use() -> None:
    """Work that goes on after its caller was cancelled does not hold up the next."""
    threads = Threads(2, "worker")
    begun, go_on = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        go_on.wait()

    running = asyncio.create_task(threads.run(first))
    await asyncio.to_thread(begun.wait)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert await threads.run(go_on.is_set) is False
    go_on.set()
    threads.close()


async def test_closing_finishes_what_was_accepted() -> None:
    """Closing waits for accepted work, and more is refused."""
    threads = Threads(1, "worker")
    go_on = threading.Event()
    done: list[int] = []
    tasks = [asyncio.create_task(threads.run(go_on.wait))]
    tasks += [asyncio.create_task(threads.run(lambda: done.append(1) or True))]
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(threads.close))
    go_on.set()
    await closing
    await asyncio.gather(*tasks)

    assert done == [1]
    with pytest.raises(RuntimeError, match="closed"):
        await threads.run(threading.get_ident)
    assert not [one for one in threading.enumerate() if one.name == "worker"]
