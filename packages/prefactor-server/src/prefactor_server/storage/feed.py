"""The change feed of a database, and the writing of what is derived from it.

A consumer of the feed has a state: the position up to which it has seen every change, and while
what was stored before is being filled in, the run that this has reached. Derived rows are written
in one transaction with the consumer's new state, which is compared with the one that they were
derived after: a slice that two servers work on at a time is applied once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from prefactor_server.domain.change import Change
from prefactor_server.storage.batch import Decide, Needs

PRUNE_SLICE: Final = 1000


class Deleted(NamedTuple):
    """The derived rows of a kind whose identity begins with ``key``."""

    kind: type[Any]
    key: tuple[str | int, ...]


class Derived(NamedTuple):
    """What a consumer makes of a slice of changes.

    ``deleted`` goes first. ``upserted`` rows are put in the place of those with their identity; the
    numbers of ``added`` rows are added to theirs. Their kinds are those of the backend's derived
    tables. ``decide`` changes other rows, as a batch does, and may be called several times.
    """

    upserted: Sequence[tuple[Any, ...]] = ()
    added: Sequence[tuple[Any, ...]] = ()
    deleted: Sequence[Deleted] = ()
    needs: Mapping[str, Needs] = {}
    decide: Decide[None] | None = None


class ConsumerState(NamedTuple):
    """How far a consumer is.

    ``backfill`` is None once everything stored has been filled in; before, it is where that has
    got to, see ``follower.backfill``. ``revision`` grows with every change of the state.
    """

    consumer: str
    position: int
    backfill: str | None
    revision: int = 0


class StoredRun(NamedTuple):
    """A run as a backfill meets it."""

    account_id: str
    id: str
    inserted_at: int
    status: str


class StoredSpan(NamedTuple):
    """A span as a backfill meets it."""

    account_id: str
    agent_instance_id: str
    id: str
    status: str


class Feed(Protocol):
    """The change feed of one database, across all of its accounts.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot take writes now.
    """

    async def changes(self, after: int, limit: int, *, settled: bool = True) -> Sequence[Change]:
        """Return the changes after a position, whole commits only, in order.

        At least one commit if there is any; no further one once they come to ``limit`` rows, a
        change with its spans counted. Without ``settled``, also commits that a commit with a lower
        position may still follow.
        """
        ...

    async def position(self) -> int:
        """Return the position of the last settled commit; 0 when nothing was committed."""
        ...

    async def pruned_to(self) -> int:
        """Return the position up to which changes have been deleted."""
        ...

    async def announce(self) -> None:
        """Tell other servers on this database, if there can be any, that something was committed.

        Announcements may be lost: they save time, and nothing rests on them.
        """
        ...

    async def hear(self, heard: Callable[[], None]) -> None:
        """Call a function whenever another server announces commits, until cancelled.

        Returns at once if there can be no other server.
        """
        ...

    async def prune(self, to: int, before: int) -> int:
        """Delete a slice of the changes up to a position that are older than a time; how many.

        The last commit stays: the next position follows from it.
        """
        ...

    async def states(self) -> Mapping[str, ConsumerState]:
        """Return the states that are stored, by consumer."""
        ...

    async def begin(self, state: ConsumerState) -> ConsumerState:
        """Store the state of a consumer that has none; return the one that is stored."""
        ...

    async def advance(
        self, before: ConsumerState, after: ConsumerState, derived: Derived
    ) -> ConsumerState | None:
        """Write derived rows with a consumer's new state; None if ``before`` was not its state.

        ``after.revision`` does not matter; the state as it is stored now is returned.
        """
        ...

    async def some(self, kind: type[Any], limit: int) -> Sequence[Deleted]:
        """Return the deletions of some derived rows of a kind; nothing when there are none."""
        ...

    async def take_lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take a lease, or keep it for longer; False while somebody else holds it.

        Several servers compare the times that they hand in, so their clocks matter: a lease saves
        work, and nothing is wrong if two hold one.
        """
        ...

    async def release_lease(self, name: str, holder: str) -> None:
        """Let a lease go, if this is who holds it."""
        ...

    async def runs_from(self, account_id: str, run_id: str, limit: int) -> Sequence[StoredRun]:
        """Return a run and those that follow it, across accounts, in the order of their ids."""
        ...

    async def spans_after(
        self, account_id: str, run_id: str, span_id: str, limit: int
    ) -> Sequence[StoredSpan]:
        """Return spans of a run that follow one, in the order of their ids."""
        ...
