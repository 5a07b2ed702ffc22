"""How long a run has been silent, counting only the time in which a server was up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.times import DAY_US, MINUTE_US

MAX_DOWN_US: Final = 2 * MINUTE_US
"""A gap between servers up to this long, such as a restart, still counts as uptime."""
KEEP_US: Final = 30 * DAY_US
"""How long a period of uptime is kept after it ended."""


class Heartbeat(NamedTuple):
    """When a run last sent a heartbeat."""

    account_id: str
    id: str
    last_seen_at: int


class Uptime(NamedTuple):
    """A period in which a server was up without a break."""

    began_at: int
    ended_at: int


def silent_before(uptime: Sequence[Uptime], lasting_us: int) -> int | None:
    """Return the latest time since which servers were up for ``lasting_us`` in all.

    A run whose last heartbeat is older has been silent for that long. None means that servers have
    not been up for that long. ``uptime`` is sorted by time.
    """
    remaining = lasting_us
    for period in reversed(uptime):
        duration = period.ended_at - period.began_at
        if duration >= remaining:
            return period.ended_at - remaining
        remaining -= duration
    return None
