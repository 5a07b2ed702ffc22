"""The change feed: what each commit did to which runs, in the order of their visibility.

Everything derived from runs (search, totals, series, alerts, live events) reads the feed after the
commit, off the write path. The feed names what changed; the rows have the current values.
"""

from __future__ import annotations

from typing import Final, NamedTuple

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
