"""Costly reads run a few at a time, and callers take turns."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from served_api import ServedApi

from prefactor_server.api.kernel.turns import MAX_WAITING, Turns
from prefactor_server.domain.errors import Overloaded
from prefactor_server.storage.sqlite.backend import SqliteStorage


class HeldFacets:
    """Facets whose first read of each request waits until the test lets it through."""

    def __init__(self, facets: Any) -> None:
        self._facets = facets
        self.begun: list[str] = []
        self.gate = asyncio.Semaphore(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._facets, name)

    async def run_groups(self, account_id: str, *rest: Any) -> Sequence[Any]:
        self.begun.append(account_id)
        await self.gate.acquire()
        found: Sequence[Any] = await self._facets.run_groups(account_id, *rest)
        return found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedApi]:
    """A server whose reads of facets are held."""

    async def opening() -> Any:
        storage = SqliteStorage.open(tmp_path / "server.db")
        storage.facets = HeldFacets(storage.facets)  # type: ignore[assignment]
        return storage

    served = ServedApi(opening)
    yield served
    served.close()


def test_one_caller_cannot_occupy_all_readers(served: ServedApi) -> None:
    """While one caller sends many costly reads, others read, write, and soon get their turn."""

    async def flood() -> None:
        facets: Any = served.storage.facets
        first, second = await served.new_account("first"), await served.new_account("second")
        run = {"id": "run-1", "agent_id": "agent-1"}
        target, register = "/api/v1/agent_instance/facets", "/api/v1/agent_instance/register"

        many = [
            asyncio.create_task(served.call(first, "GET", target)) for _ in range(MAX_WAITING + 5)
        ]
        while len(facets.begun) < 2 or sum(one.done() for one in many) < 3:  # noqa: ASYNC110 - the server says nothing
            await asyncio.sleep(0)
        other = asyncio.create_task(served.call(second, "GET", target))
        written = await served.call(second, "POST", register, run)
        shown = await served.call(second, "GET", "/api/v1/agent_instance/run-1")

        assert (written.status, shown.status) == (200, 200)
        assert len(facets.begun) == 2
        for _ in range(len(many)):
            facets.gate.release()
        assert (await other).status == 200
        statuses = sorted([(await one).status for one in many])
        assert statuses == [200] * (MAX_WAITING + 2) + [429] * 3
        assert len(set(facets.begun[:4])) == 2, "the other caller had to wait for more than a turn"

    served.do(flood())


async def test_callers_take_turns() -> None:
    """However many reads one caller has waiting, each other caller waits for one of them."""
    turns, order = Turns(1), list[str]()

    async def read(caller: str) -> None:
        async with turns.turn(caller):
            order.append(caller)
            await asyncio.sleep(0)

    await asyncio.gather(*(read(caller) for caller in "aaaaabbc"))

    assert "".join(order) == "aabcabaa"


async def test_too_many_waiting_reads_are_refused() -> None:
    """A caller's next read is refused while 32 of its reads wait, and other callers still wait."""
    turns = Turns(1)

    async def read(caller: str, *, limited: bool = True) -> None:
        async with turns.turn(caller, limited=limited):
            await asyncio.sleep(0)

    async with turns.turn("a"):
        waiting = [asyncio.create_task(read("a")) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="32 costly reads with this token are waiting"):
            await read("a")
        others = [asyncio.create_task(read("b")), asyncio.create_task(read("a", limited=False))]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting, *others)


async def test_a_cancelled_read_passes_its_turn_on() -> None:
    """A read that is cancelled while it waits, or as its turn begins, holds up nobody."""
    turns, done = Turns(1), list[str]()

    async def read(caller: str) -> None:
        async with turns.turn(caller):
            done.append(caller)

    async with turns.turn("a"):
        tasks = [asyncio.create_task(read(caller)) for caller in "abc"]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
    # The turn has just been given to the second read.
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await read("d")

    assert done == ["c", "d"]
