"""Bounded stores: of things that depend on nothing but their content, and of values that change."""

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
    """Keeps what was used since it was last about to go, up to a total weight.

    Weight, and not a number of entries, because strangers choose the size of each: a thousand
    schemas are 1 MB or 256 MB. Safe to use from several threads. Looking something up takes no
    lock and moves nothing, because every span looks up several things: it leaves a mark, and what
    is marked is passed over once when room is needed.
    """

    def __init__(self, max_weight: int) -> None:
        self._max_weight = max_weight
        self._weight = 0
        self._entries: OrderedDict[Hashable, _Entry[_Made]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> _Made | None:
        """Return what is kept under a key, which will outlast what nobody asks for."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        entry.used = True
        return entry.made

    def put(self, key: Hashable, weight: int, made: _Made) -> _Made:
        """Keep something, dropping what was not used for longest, and return it."""
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
    """A bounded store of values that may change: the one that was put last counts.

    What it returns may be out of date, so its user has to notice when it is.
    """

    def put(self, key: Hashable, weight: int, made: _Made) -> _Made:
        """Keep a value in place of the one that was kept under this key, and return it."""
        with self._lock:
            replaced = self._entries.pop(key, None)
            if replaced is not None:
                self._weight -= replaced.weight
            self._add(key, weight, made)
        return made
