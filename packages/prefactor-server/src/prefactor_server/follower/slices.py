"""Slices of the change feed, read once for all consumers at the same position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prefactor_server.domain.change import Change
from prefactor_server.storage.feed import Feed

SLICE: Final = 2000
"""The approximate number of rows in a slice of changes."""

_GATHER_SECONDS: Final = 0.5
"""How long commits gather before a slice is read: each slice costs reads and commits."""
_MOST_GATHER_SECONDS: Final = 2.0
_MANY_ROWS: Final = SLICE // 8


def gather_seconds(rows: int, seconds: float) -> float:
    """Return how long commits gather for the next slice.

    The more rows the last one had, and the more seconds it took to apply, the longer. So a server
    that takes fewer than 500 changes a second keeps to the shortest time.
    """
    by_rows = _GATHER_SECONDS * rows / _MANY_ROWS
    return min(max(_GATHER_SECONDS, by_rows, 2 * seconds), _MOST_GATHER_SECONDS)


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

    @property
    def rows(self) -> int:
        """The number of rows in the longest of the cached slices."""
        return max(
            (sum(change.weight for change in found) for found in self._read.values()), default=0
        )

    def forget(self) -> None:
        """Drop the cache, because there may be more changes by now."""
        self._read.clear()
