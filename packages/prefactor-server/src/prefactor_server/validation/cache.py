"""Bounded caches, for values derived from their key and for values that change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

import msgspec

V = TypeVar("V")


class _Entry(msgspec.Struct, Generic[V]):
    value: V
    weight: int
    used: bool = False


class ContentCache(Generic[V]):
    """A cache bounded by the total weight of its entries, which drops unused entries first.

    The bound is a weight rather than a number of entries, because clients choose the size of each:
    a thousand schemas are 1 MB or 256 MB. A cache may be used by several threads. A lookup takes
    no lock and only marks its entry, because every span needs several lookups. To make room, a
    marked entry loses its mark, and an unmarked one is dropped.
    """

    def __init__(self, max_weight: int) -> None:
        self._max_weight = max_weight
        self._weight = 0
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> V | None:
        """Return the entry of a key and mark it as used, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        entry.used = True
        return entry.value

    def put(self, key: Hashable, weight: int, value: V) -> V:
        """Store an entry, dropping unused ones to make room, and return it."""
        with self._lock:
            if key not in self._entries:
                self._add(key, weight, value)
        return value

    def _add(self, key: Hashable, weight: int, value: V) -> None:
        if weight <= self._max_weight:
            self._entries[key] = _Entry(value, weight)
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


class LatestCache(ContentCache[V]):
    """A bounded cache of values that may change. A stored value replaces the previous one.

    An entry may be out of date, which the caller must detect.
    """

    def put(self, key: Hashable, weight: int, value: V) -> V:
        """Store a value, replacing the previous one of this key, and return it."""
        with self._lock:
            replaced = self._entries.pop(key, None)
            if replaced is not None:
                self._weight -= replaced.weight
            self._add(key, weight, value)
        return value

    def remove(self, key: Hashable) -> None:
        """Drop the entry of a key, if there is one."""
        with self._lock:
            removed = self._entries.pop(key, None)
            if removed is not None:
                self._weight -= removed.weight
