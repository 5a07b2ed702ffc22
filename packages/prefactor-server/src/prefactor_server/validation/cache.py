"""Bounded caches, for values derived from their key and for values that change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

_Made = TypeVar("_Made")


class _Entry(Generic[_Made]):
    __slots__ = ("made", "used", "weight")

    def __init__(self, made: _Made, weight: int) -> None:
        self.made = made
        self.weight = weight
        self.used = False


class ContentCache(Generic[_Made]):
    """A cache bounded by the total weight of its entries, which drops unused entries first.

    The bound is a weight rather than a number of entries because clients choose the size of each:
    a thousand schemas are 1 MB or 256 MB. Safe to use from several threads. A lookup takes no lock
    and only marks its entry, because every span needs several lookups. When room is needed, a
    marked entry loses its mark and is kept once more.
    """

    def __init__(self, max_weight: int) -> None:
        self._max_weight = max_weight
        self._weight = 0
        self._entries: OrderedDict[Hashable, _Entry[_Made]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> _Made | None:
        """Return the entry of a key and mark it as used, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        entry.used = True
        return entry.made

    def put(self, key: Hashable, weight: int, made: _Made) -> _Made:
        """Store an entry, dropping unused ones to make room, and return it."""
        with self._lock:
            if key not in self._entries:
                self._add(key, weight, made)
        return made

    def _add(self, key: Hashable, weight: int, made: _Made) -> None:
        if weight <= self._max_weight:
            self._entries[key] = _Entry(made, weight)
            self._weight += weight
        while self._weight > self._max_weight:
            self._drop_one()

    def _drop_one(self) -> None:
        while True:
            key, entry = self._entries.popitem(last=False)
            if not entry.used:
                self._weight -= entry.weight
                return
            entry.used = False
            self._entries[key] = entry


class LatestCache(ContentCache[_Made]):
    """A bounded cache of values that may change. The last stored value replaces the others.

    An entry may be out of date, so the caller has to detect that.
    """

    def put(self, key: Hashable, weight: int, made: _Made) -> _Made:
        """Store a value, replacing the previous one of this key, and return it."""
        with self._lock:
            replaced = self._entries.pop(key, None)
            if replaced is not None:
                self._weight -= replaced.weight
            self._add(key, weight, made)
        return made
