"""A bounded store of things that are costly to make and depend on nothing but their content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

_Made = TypeVar("_Made")


class ContentCache(Generic[_Made]):
    """Keeps what was used last, up to a total weight.

    Weight, and not a number of entries, because strangers choose the size of each: a thousand
    schemas are 1 MB or 256 MB. Safe to use from several threads.
    """

    def __init__(self, max_weight: int) -> None:
        self._max_weight = max_weight
        self._weight = 0
        self._entries: OrderedDict[Hashable, tuple[_Made, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> _Made | None:
        """Return what is kept under a key, which makes it the last to go."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, weight: int, made: _Made) -> _Made:
        """Keep something, dropping what was not used for longest, and return it."""
        with self._lock:
            if key not in self._entries and weight <= self._max_weight:
                self._entries[key] = (made, weight)
                self._weight += weight
            while self._weight > self._max_weight:
                _, (_, dropped) = self._entries.popitem(last=False)
                self._weight -= dropped
        return made
