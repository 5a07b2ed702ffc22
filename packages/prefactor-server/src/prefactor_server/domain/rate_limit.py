"""A token bucket: so many requests a second on average, and some of them at once."""

from __future__ import annotations

from typing import Final, NamedTuple

BURST_SECONDS: Final = 10
"""Who was quiet for so long may send at once what would have been sent meanwhile."""

_SECOND_US: Final = 1_000_000


class Bucket(NamedTuple):
    """How many requests were left at a moment."""

    left: float
    at: int

    @classmethod
    def full(cls, per_second: int, now: int) -> Bucket:
        """The bucket of a caller who was not heard of for long."""
        return cls(float(per_second * BURST_SECONDS), now)

    def refilled(self, per_second: int, now: int) -> Bucket:
        """The bucket as it is now; a clock that was set back takes nothing away."""
        gained = max(0, now - self.at) * per_second / _SECOND_US
        return Bucket(min(self.left + gained, per_second * BURST_SECONDS), now)

    def without_one(self) -> Bucket | None:
        """The bucket after one more request, or None when there is none left."""
        return None if self.left < 1 else self._replace(left=self.left - 1)

    def seconds_until_one(self, per_second: int) -> int:
        """After how many whole seconds there is one again, at least one."""
        missing = max(0.0, 1 - self.left)
        return max(1, -int(-missing // per_second))
