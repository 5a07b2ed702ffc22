"""How long a run was silent, counted only while there was a server that could be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

MAX_DOWN_US: Final = 120 * 1_000_000
"""For how long servers may be away, as for a restart, without a break in their uptime."""
KEEP_US: Final = 30 * 86_400 * 1_000_000
"""How long a span of uptime is remembered after its end."""


class Heartbeat(NamedTuple):
    """When the last heartbeat of a run came."""

    account_id: str
    id: str
    last_seen_at: int


class Uptime(NamedTuple):
    """A time in which a server was there without a break."""

    began_at: int
    ended_at: int


def silent_before(uptime: Sequence[Uptime], lasting_us: int) -> int | None:
    """Return the moment since which a server was there for so long in all.

    A run that was last heard of before it was silent for that long. None means that no run can
    have been. ``uptime`` is in the order of time.
    """
    left = lasting_us
    for one in reversed(uptime):
        lasted = one.ended_at - one.began_at
        if lasted >= left:
            return one.ended_at - left
        left -= lasted
    return None
