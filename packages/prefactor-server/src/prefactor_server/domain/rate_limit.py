"""A token bucket: an average rate of requests, with bursts."""

from __future__ import annotations

from typing import Final, NamedTuple

from prefactor_server.domain.times import SECOND_US

BURST_SECONDS: Final = 10
"""The size of the bucket, in seconds of the average rate."""

WAIT_SECONDS: Final = 1
"""How long an empty bucket takes to allow a request: it gains at least one a second."""


class Bucket(NamedTuple):
    """The number of requests that are left at a time."""

    left: float
    at: int

    @classmethod
    def full(cls, per_second: int, now: int) -> Bucket:
        """Return a full bucket."""
        return cls(float(per_second * BURST_SECONDS), now)

    def refilled(self, per_second: int, now: int) -> Bucket:
        """Return the bucket refilled until now. A clock that was set back removes nothing."""
        gained = max(0, now - self.at) * per_second / SECOND_US
        return Bucket(min(self.left + gained, per_second * BURST_SECONDS), now)

    def without_one(self) -> Bucket | None:
        """Return the bucket after one more request, or None if it is empty."""
        return None if self.left < 1 else self._replace(left=self.left - 1)
