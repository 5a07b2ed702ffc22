"""Rate limits per token, counted in this process only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from prefactor_server.domain.errors import Overloaded
from prefactor_server.domain.rate_limit import Bucket

_MAX_BUCKETS: Final = 10_000


class RateLimiter:
    """A token bucket per API token. ``per_second`` of 0 disables the limit.

    A bulk request counts as one request, because its size is limited elsewhere.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, token_id: str, now: int) -> None:
        """Count a request.

        Raises:
            Overloaded: the token has exceeded its rate.
        """
        if not self._per_second:
            return
        bucket = self._buckets.pop(token_id, None) or Bucket.full(self._per_second, now)
        bucket = bucket.refilled(self._per_second, now)
        taken = bucket.without_one()
        self._buckets[token_id] = taken or bucket
        if len(self._buckets) > _MAX_BUCKETS:
            # The least recently used bucket is the most likely to be full again.
            self._buckets.popitem(last=False)
        if taken is None:
            raise Overloaded(
                f"This token may send {self._per_second} requests a second: send this one later",
                retry_after=bucket.seconds_until_one(self._per_second),
            )
