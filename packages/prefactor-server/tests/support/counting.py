"""A server reduced to writing runs and following its own feed, to be killed at any moment.

Run as a program with the address of a database and a name: it prints a line when it has begun, and
writes until it is killed. With a third argument, it first requests that everything is derived
again.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from typing import Any

from backends import open_storage
from postgres_database import submit
from rows import ACCOUNT, NOW, create_span, finish, finish_span, register, start, terminate

from prefactor_server.domain.change import Change
from prefactor_server.domain.runs.run_total import RunTotalDue
from prefactor_server.follower import Attached, CommitSignal, Consumer, Follower
from prefactor_server.follower.alert import AlertConsumer
from prefactor_server.follower.search import SearchConsumer
from prefactor_server.follower.span_types import SpanTypesConsumer
from prefactor_server.storage.base import Storage
from prefactor_server.storage.feed import Derived


class Counting(Consumer):
    """Counts in the database how often it received the end of each span.

    It uses the table of another consumer, which has a number to increment.
    """

    name = "counting"

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def apply(self, changes: Sequence[Change]) -> Derived:
        """One more for each finished span."""
        counts: dict[tuple[str, str], int] = {}
        for change in changes:
            for span_id in change.finished_ids:
                key = (change.account_id, span_id)
                counts[key] = counts.get(key, 0) + 1
        return Derived(added=[RunTotalDue(*key, number) for key, number in counts.items()])

    async def reset(self) -> Derived | None:
        """Delete the counts."""
        rows = await self._storage.feed.some(RunTotalDue, 50)
        return Derived(deleted=rows) if rows else None


def counting(storage: Storage, holder: str) -> Follower:
    """A follower that counts, raises alerts, and keeps types of spans and words."""
    return Follower(
        storage.feed,
        [
            Attached(Counting(storage)),
            Attached(SpanTypesConsumer(storage)),
            Attached(SearchConsumer(storage), storage.search.store),
            # The runs of these programs must be recent, because old runs raise no alerts.
            Attached(AlertConsumer(storage, lambda: NOW + 1_000_000)),
        ],
        CommitSignal(),
        holder=holder,
        now_us=lambda: time.time_ns() // 1000,
    )


async def _write(storage: Any, name: str) -> None:
    for number in itertools.count():
        run_id = f"{name}-{number}"
        await submit(storage, register(run_id), start(run_id))
        run = await storage.instance(ACCOUNT, run_id)
        spans = [f"{run_id}-{n}" for n in range(8)]
        await submit(storage, *(create_span(one, run) for one in spans))
        await submit(storage, *(finish_span(one) for one in spans[:5]))
        await submit(storage, terminate(run_id) if number % 2 else finish(run_id))


async def _main(url: str, name: str, *, rebuilds: bool) -> None:
    storage = await open_storage(url)
    follower = counting(storage, name)
    if rebuilds:
        await follower.rebuild()

    async def follow() -> None:
        while True:
            await follower.turn()
            await asyncio.sleep(0)

    print("begun", flush=True)  # noqa: T201 - what the test waits for
    await asyncio.gather(_write(storage, name), follow())


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:3], rebuilds=len(sys.argv) > 3))
