"""A buffer of heartbeats, which stores those of many requests in one commit.

A heartbeat need not be durable when it is answered. If the server dies, the next heartbeat arrives
within a minute, and the time without a server does not count as silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from prefactor_server.domain.runs.silence import Heartbeat


class HeartbeatBuffer:
    """The runs with heartbeats that are not stored yet.

    Its size is bounded by the number of active runs, because only those are added.
    """

    def __init__(self) -> None:
        self._seen_at: dict[tuple[str, str], int] = {}
        self.received = 0
        """The number of heartbeats received, one for each run in a request."""

    def add(self, account_id: str, run_ids: Iterable[str], now: int) -> None:
        """Add the heartbeats of active runs."""
        for run_id in run_ids:
            self.received += 1
            self._seen_at[account_id, run_id] = now

    def pending(self, limit: int) -> Sequence[Heartbeat]:
        """Return some heartbeats that are not stored yet."""
        return [Heartbeat(*run, seen_at) for run, seen_at in islice(self._seen_at.items(), limit)]

    def stored(self, heartbeats: Sequence[Heartbeat]) -> None:
        """Drop stored heartbeats, unless the run sent another one meanwhile."""
        for account_id, run_id, seen_at in heartbeats:
            if self._seen_at.get((account_id, run_id)) == seen_at:
                del self._seen_at[account_id, run_id]
