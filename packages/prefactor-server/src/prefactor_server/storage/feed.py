"""The change feed of a database, and the writes of derived rows.

A consumer of the feed has a state: the position up to which it has seen every change and, during a
backfill, the run that the backfill has reached. Derived rows are written in one transaction with
the consumer's new state, if the stored state is still the previous one. A slice that two servers
process at the same time is therefore applied once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from prefactor_server.domain.change import Change
from prefactor_server.storage.batch import Decide, Needs

T = TypeVar("T")

PRUNE_SLICE: Final = 1000


class Deleted(NamedTuple):
    """The derived rows of a kind whose identity begins with ``key``."""

    kind: type[Any]
    key: tuple[str | int, ...]


class Derived(NamedTuple):
    """The rows that a consumer derives from a slice of changes.

    ``deleted`` is applied first. ``upserted`` rows replace the stored rows with the same identity,
    and the numbers of ``added`` rows are added to stored rows. ``decide`` changes other rows, as a
    batch does, and may be called several times.
    """

    upserted: Sequence[tuple[Any, ...]] = ()
    added: Sequence[tuple[Any, ...]] = ()
    deleted: Sequence[Deleted] = ()
    needs: Mapping[str, Needs] = {}
    decide: Decide[None] | None = None


class ConsumerState(NamedTuple):
    """The progress of a consumer.

    ``backfill`` is the cursor of the backfill, or None once that is complete; see
    ``follower.backfill``. ``revision`` grows with every change of the state.
    """

    consumer: str
    position: int
    backfill: str | None
    revision: int = 0


class Move(NamedTuple):
    """The next state of a consumer, and the rows that it derived on the way."""

    before: ConsumerState
    after: ConsumerState
    derived: Derived


class FeedStatus(NamedTuple):
    """The states of consumers, and the positions of the feed's start and of its last commit.

    These are read in this order, because a state never passes the feed.
    """

    states: Mapping[str, ConsumerState]
    pruned_to: int
    position: int


class StoredRun(NamedTuple):
    """A run as a backfill reads it."""

    account_id: str
    id: str
    inserted_at: int
    status: str
    is_silent_import: bool = False
    """Whether it was imported, and its agent has not written here yet."""


class StoredSpan(NamedTuple):
    """A span as a backfill reads it."""

    account_id: str
    agent_instance_id: str
    id: str
    status: str


class StateStore(Protocol):
    """The store of a consumer's state and rows: the database of the feed, or a separate one."""

    async def states(self) -> Mapping[str, ConsumerState]:
        """Return the stored states, by consumer."""
        ...

    async def begin(self, state: ConsumerState) -> ConsumerState:
        """Store the state of a consumer without one; return the stored state."""
        ...

    async def advance(
        self, before: ConsumerState, after: ConsumerState, derived: Derived
    ) -> ConsumerState | None:
        """Write derived rows with a consumer's new state; return None if ``before`` is stale.

        ``after.revision`` is ignored. The stored state is returned.
        """
        ...


class Feed(StateStore, Protocol):
    """The change feed of one database, across all of its accounts.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot take writes now.
    """

    async def changes(self, after: int, limit: int, *, settled: bool = True) -> Sequence[Change]:
        """Return the changes after a position, in order, as complete commits.

        Returns at least one commit if there is any, and stops once they have ``limit`` rows, spans
        included. Without ``settled``, also returns commits before which another may still be added.
        """
        ...

    async def status(self) -> FeedStatus:
        """Return the states and positions, in one read."""
        ...

    async def together(self, reads: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine that awaits only reads of this database, with less overhead for each."""
        ...

    async def position(self) -> int:
        """Return the position of the last settled commit, or 0 if there is none."""
        ...

    async def pruned_to(self) -> int:
        """Return the position up to which changes have been deleted."""
        ...

    async def announce(self) -> None:
        """Announce to other servers on this database that something was committed.

        Announcements may be lost. They only reduce latency.
        """
        ...

    async def listen(self, callback: Callable[[], None]) -> None:
        """Call a function for each announcement of another server, until cancelled.

        Returns at once if the database allows only one server.
        """
        ...

    async def prune(self, to: int, before: int) -> int:
        """Delete a slice of the changes up to a position and older than a time; return how many.

        The last commit stays, because the next position is computed from it.
        """
        ...

    async def advance_all(self, moves: Sequence[Move]) -> Sequence[ConsumerState | None]:
        """Advance several consumers, as ``advance`` does, in one transaction.

        Of a consumer whose ``before`` is stale, nothing is written. Either all others are written,
        or none.
        """
        ...

    async def some(self, kind: type[Any], limit: int) -> Sequence[Deleted]:
        """Return deletions of some derived rows of a kind, empty if there are none."""
        ...

    async def take_lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take or extend a lease; return False while another server holds it.

        The times come from the servers, so clock skew matters. A lease only saves work; it is safe
        if two servers hold it.
        """
        ...

    async def release_lease(self, name: str, holder: str) -> None:
        """Release a lease if this holder has it."""
        ...

    async def runs_from(self, account_id: str, run_id: str, limit: int) -> Sequence[StoredRun]:
        """Return a run and the runs after it, across accounts, ordered by id."""
        ...

    async def spans_after(
        self, account_id: str, run_id: str, span_id: str, limit: int
    ) -> Sequence[StoredSpan]:
        """Return the spans of a run after a given one, ordered by id."""
        ...
