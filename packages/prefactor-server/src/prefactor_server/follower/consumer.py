"""Consumers of the change feed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from prefactor_server.domain.change import Change
from prefactor_server.storage.feed import Derived, StateStore


class Consumer(ABC):
    """Derives rows from changes.

    A change names what changed; its current state is read from the database, and may be newer.
    Several servers may work on the same slice, but only one of them writes what it derived.
    """

    name: str
    """The name in ``prefactor-server rebuild NAME``."""

    @abstractmethod
    async def apply(self, changes: Sequence[Change]) -> Derived:
        """Return the changes of the derived rows that follow from these changes.

        A change with the flag BACKFILLED is not a commit. It reports a run that was stored before,
        and names some of its spans. Several such changes may report one run. Every transition (a
        run created or ended, a span finished) is reported once, by such a change or by a commit's.
        """

    @abstractmethod
    async def reset(self) -> Derived | None:
        """Return the deletion of some derived rows, or None if none are left."""

    async def has_deferred(self) -> bool:
        """Return whether ``deferred`` would return rows. It is called often and must be cheap."""
        return False

    async def deferred(self) -> Derived | None:
        """Return rows that ``apply`` has deferred, or None if there is nothing to do now."""
        return None


class Attached(NamedTuple):
    """A consumer with its store; None means the database of the feed."""

    consumer: Consumer
    store: StateStore | None = None
