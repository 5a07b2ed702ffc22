"""Slices of the change feed, read once for all consumers at the same position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prefactor_server.domain.change import Change
from prefactor_server.storage.feed import Feed

SLICE: Final = 2000
"""The approximate number of rows in a slice of changes."""


class Slices:
    """Caches the next changes after a position, until ``forget``."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._read: dict[int, Sequence[Change]] = {}

    async def after(self, position: int) -> Sequence[Change]:
        """Return the settled changes after a position, see ``Feed.changes``."""
        found = self._read.get(position)
        if found is None:
            found = self._read[position] = await self._feed.changes(position, SLICE)
        return found

    def forget(self) -> None:
        """Drop the cache, because there may be more changes by now."""
        self._read.clear()
