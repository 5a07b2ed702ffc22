"""The change feed: what each commit did to which runs, in the order of their visibility.

Everything derived from runs (search, totals, series, alerts, live events) reads the feed after the
commit, off the write path. The feed names what changed. The rows have the current values.

A position of the feed also measures the progress of a copy of the database: one that has reached a
position contains every commit up to it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, NamedTuple

MAX_POSITION: Final = 2**63 - 1

RUN_CREATED: Final = 1
RUN_CHANGED: Final = 2
"""Fields of the run changed, apart from its span counts."""
RUN_ENDED: Final = 4
"""The run ended, which happens once."""
SPANS_CLOSED: Final = 8
"""A termination closed all open spans. They are among the finished ones."""
SPANS_REVISED: Final = 16
"""Finished spans changed: by a late finish, or because sensitive values were discarded."""
RUN_DELETED: Final = 32
"""The run was deleted with its spans, which are not listed. Older feeds may contain flag 64."""
QUALITY: Final = 128
"""An evaluation of the run was recorded or removed."""
METADATA: Final = 512
"""The metadata of the run was set."""
IMPORTED: Final = 1024
"""The run was imported from another server, so it causes no alerts and no webhook deliveries."""
BACKFILLED: Final = 256
"""Not a commit: the follower processes a stored run again to fill derived rows."""
END_REVISED: Final = 2048
"""The start or end of an ended run was replaced."""


class Change(NamedTuple):
    """What one commit did to one run.

    All changes of a commit share its position, and a later commit has a higher one. ``span_ids``
    are the spans that it created or changed. ``finished_ids`` are those that reached a
    terminal status for the first time, so each span is listed there exactly once.
    """

    position: int
    account_id: str
    agent_instance_id: str
    at: int
    flags: int
    span_ids: tuple[str, ...] = ()
    finished_ids: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        """The number of rows that the change concerns."""
        return 1 + len(self.span_ids)


class Position:
    """The position of a request or a batch in the change feed.

    ``needed`` is the position that a read must have reached, or None if it must see the latest
    state. ``reached`` is a position that contains everything written, or 0 without writes.
    """

    __slots__ = ("needed", "reached")

    def __init__(self) -> None:
        self.needed: int | None = None
        self.reached = 0

    def advance(self, position: int) -> None:
        """Raise ``reached`` to at least a position."""
        self.reached = max(self.reached, position)


_current: Final[ContextVar[Position | None]] = ContextVar("position", default=None)


def begin_position() -> Position:
    """Return a new position, and make it the current one of this task."""
    position = Position()
    _current.set(position)
    return position


def current_position() -> Position | None:
    """Return the current position, or None outside of requests and batches."""
    return _current.get()
