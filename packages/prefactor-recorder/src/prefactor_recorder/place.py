"""Where an entry lies: what a journal of this package needs to settle it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefactor_recorder.journal.base import Entry
    from prefactor_recorder.journal.memory import MemoryQueue
    from prefactor_recorder.journal.spool.segment import Segment


class Place:
    """One record in a segment on disk, or in a queue in memory."""

    __slots__ = ("end", "is_settled", "source", "start")

    def __init__(self, source: Segment | MemoryQueue, start: int, end: int) -> None:
        """Keep where the record begins and ends in its source."""
        self.source = source
        self.start = start
        self.end = end
        self.is_settled = False


def place_of(entry: Entry) -> Place:
    """What a journal of this package put into an entry."""
    if not isinstance(entry.place, Place):
        raise TypeError("the entry is not from this journal")
    return entry.place
