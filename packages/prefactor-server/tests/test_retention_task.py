"""When the task looks for policies to apply, and how it goes on after a failure."""

import asyncio
from collections.abc import Sequence
from typing import Any

from prefactor_server.domain.account import Account
from prefactor_server.domain.errors import Unavailable
from prefactor_server.upkeep import RetentionTask
from simulated_time import SimulatedTime

WEEK = 7 * 86_400


class _Storage:
    """A database without accounts, which cannot be used at first. Keeps when it was asked."""

    feed = maintenance = None

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self.asked: list[float] = []

    async def accounts(self) -> Sequence[Account]:
        self.asked.append(asyncio.get_running_loop().time())
        if len(self.asked) <= self._failures:
            raise Unavailable("the database cannot be used now")
        return []


def _moments(failures: int, seconds: float) -> list[int]:
    """Return the seconds at which a task read the policies."""
    storage: Any = _Storage(failures)

    async def work() -> None:
        task = RetentionTask(storage, "holder", lambda: 0, WEEK)
        try:
            async with asyncio.timeout(seconds):
                await task.run()
        except TimeoutError:
            pass

    with asyncio.Runner(loop_factory=SimulatedTime) as runner:
        runner.run(work())
    return [round(moment) for moment in storage.asked]


def test_changed_policies_are_read_every_minute() -> None:
    """The first look is a minute after the start."""
    assert _moments(failures=0, seconds=250) == [60, 120, 180, 240]


def test_a_failure_does_not_cost_the_interval() -> None:
    """After a failure the task tries again in a second, then less often, until it succeeds."""
    expected = [60, 61, 63, 67, 75, 91, 123, 183, 243]
    assert _moments(failures=7, seconds=250) == expected
