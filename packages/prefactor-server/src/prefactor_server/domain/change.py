"""The change feed: what each commit did to which runs, in the order of their visibility.

Everything derived from runs (search, totals, series, alerts, live events) reads the feed after the
commit, off the write path. The feed names what changed; the rows have the current values.

A position of the feed also tells how far a copy of the database has come: a state that has reached
a position contains every commit up to it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, NamedTuple

MAX_POSITION: Final = 2**63 - 1

RUN_CREATED: Final = 1
RUN_CHANGED: Final = 2
"""Something of the run besides its span counts."""
RUN_ENDED: Final = 4
"""Once in the life of a run."""
SPANS_CLOSED: Final = 8
"""A termination closed all spans that were open; they are among the finished ones."""
SPANS_REVISED: Final = 16
"""Spans changed that had finished before: a late finish, or sensitive values discarded."""
RUN_DELETED: Final = 32
"""With all of its spans, which are not named. 64 was that spans were deleted before their run."""
QUALITY: Final = 128
"""An evaluation of the run was recorded or taken back."""
METADATA: Final = 512
"""The metadata of the run was set."""
IMPORTED: Final = 1024
"""The run was imported from another server, so it causes no alerts and no webhook deliveries."""
BACKFILLED: Final = 256
"""Not a commit: a stored run that the follower passes on to fill derived rows."""
END_REVISED: Final = 2048
"""The run changed after it had ended: its end or its start was replaced."""


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
        """The work that the change causes, in rows."""
        return 1 + len(self.span_ids)


class Position:
    """What a request, or a batch, knows of its position.

    ``needed`` is the position that a read must have reached. None means that it must see the latest
    state. ``reached`` is a position that contains what was written, or 0 if nothing was.
    """

    __slots__ = ("needed", "reached")

    def __init__(self) -> None:
        self.needed: int | None = None
        self.reached = 0

    def advance(self, position: int) -> None:
        """Raise ``reached``."""
        self.reached = max(self.reached, position)


_current: Final[ContextVar[Position | None]] = ContextVar("position", default=None)


def begin_position() -> Position:
    """Return a new position, which is the current one for the rest of this task."""
    position = Position()
    _current.set(position)
    return position


def current_position() -> Position | None:
    """Return the current position, or None outside of requests and batches."""
    return _current.get()
