"""A consumer that counts the changes it receives, with its own in-memory store."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rows import ACCOUNT, ENVIRONMENT, NOW

from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import new_token
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.change import RUN_CREATED, RUN_ENDED, Change
from prefactor_server.domain.environment import Environment
from prefactor_server.follower import Attached, CommitSignal, Consumer, Follower
from prefactor_server.storage.base import Storage
from prefactor_server.storage.feed import ConsumerState, Derived


class Tally(Consumer):
    """Counts how often something was reported as created, ended or finished."""

    name = "tally"

    def __init__(self) -> None:
        self.state: ConsumerState | None = None
        self.counts: Counter[tuple[str, str]] = Counter()
        self.seen: list[Change] = []
        self.broken = False
        self.moved = asyncio.Event()

    async def apply(self, changes: Sequence[Change]) -> Derived:
        """One row for each transition."""
        if self.broken:
            raise ValueError("a mistake")
        self.seen += changes
        told = [("run", one.agent_instance_id) for one in changes if one.flags & RUN_CREATED]
        told += [("ended", one.agent_instance_id) for one in changes if one.flags & RUN_ENDED]
        told += [("span", span_id) for one in changes for span_id in one.finished_ids]
        return Derived(added=told)

    async def reset(self) -> Derived | None:
        """Forget the counts."""
        self.seen.clear()
        self.counts.clear()
        return None

    async def states(self) -> Mapping[str, ConsumerState]:
        """See ``StateStore.states``."""
        return {} if self.state is None else {self.name: self.state}

    async def begin(self, state: ConsumerState) -> ConsumerState:
        """See ``StateStore.begin``."""
        self.state = self.state or state
        return self.state

    async def advance(
        self, before: ConsumerState, after: ConsumerState, derived: Derived
    ) -> ConsumerState | None:
        """See ``StateStore.advance``."""
        if before != self.state:
            return None
        self.counts.update(derived.added)
        self.state = after._replace(revision=before.revision + 1)
        self.moved.set()
        return self.state

    async def move(self) -> None:
        """Wait until its state has moved on since the last call."""
        await self.moved.wait()
        self.moved.clear()


def follower_of(storage: Any, *tallies: Tally, holder: str = "test") -> Follower:
    """A follower of a database, to be moved on by hand."""
    attached = [Attached(tally, tally) for tally in tallies]
    clock = iter(range(1, 10**12, 1000))
    return Follower(
        storage.feed, attached, CommitSignal(), holder=holder, now_us=lambda: next(clock)
    )


async def catch_up(follower: Follower) -> None:
    """Run a follower until nothing is left to do."""
    while await follower.turn():
        pass


async def create_account(storage: Storage) -> None:
    """The account that the rows of the tests belong to."""
    await storage.create_account(
        Account(ACCOUNT, "First", 1, NOW, NOW),
        Environment(ENVIRONMENT, ACCOUNT, "Default", True, NOW, NOW),
        new_token("a-token-of-the-operators-own", "token-1", ACCOUNT, NOW),
        AuditEntry(ACCOUNT, NOW, "cli", "accounts.create", ACCOUNT, None),
    )
