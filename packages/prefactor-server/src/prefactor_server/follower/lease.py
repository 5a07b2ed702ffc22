"""Leases: only one server at a time does a piece of work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prefactor_server.domain.times import SECOND_US
from prefactor_server.storage.feed import Feed

LEASE_NAME: Final = "follower"
LEASE_US: Final = 15 * SECOND_US


class Lease:
    """A lease in the database, held only while there is work: an idle server writes nothing.

    The lease of a killed holder expires.
    """

    def __init__(
        self,
        feed: Feed,
        holder: str,
        now_us: Callable[[], int],
        *,
        name: str = LEASE_NAME,
        duration_us: int = LEASE_US,
    ) -> None:
        self._feed = feed
        self._holder = holder
        self._now_us = now_us
        self._name = name
        self._duration_us = duration_us
        self._until = 0

    @property
    def is_held(self) -> bool:
        """Whether no other holder can take the lease yet."""
        return self._now_us() < self._until

    async def take(self) -> bool:
        """Take or extend the lease; return False if another server holds it."""
        now = self._now_us()
        if now < self._until - self._duration_us // 2:
            return True
        until = now + self._duration_us
        taken = await self._feed.take_lease(self._name, self._holder, now, until)
        self._until = until if taken else 0
        return taken

    async def release(self) -> None:
        """Release the lease at once."""
        if self._until:
            self._until = 0
            await self._feed.release_lease(self._name, self._holder)
