"""How many requests a token may send, counted by this process alone."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from prefactor_server.domain.errors import Overloaded
from prefactor_server.domain.rate_limit import Bucket

_MAX_BUCKETS: Final = 10_000


class RateLimiter:
    """A bucket per token. ``per_second`` of 0 lets everything pass.

    A bulk request is one request, whatever it holds: its size is bounded elsewhere.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, token_id: str, now: int) -> None:
        """Count a request.

        Raises:
            Overloaded: the token has sent too many; nothing was done.
        """
        if not self._per_second:
            return
        bucket = self._buckets.pop(token_id, None) or Bucket.full(self._per_second, now)
        bucket = bucket.refilled(self._per_second, now)
        taken = bucket.without_one()
        self._buckets[token_id] = taken or bucket
        if len(self._buckets) > _MAX_BUCKETS:
            # The one that was quiet for longest is the most likely to be full again.
            self._buckets.popitem(last=False)
        if taken is None:
            raise Overloaded(
                f"This token may send {self._per_second} requests a second: send this one later",
                retry_after=bucket.seconds_until_one(self._per_second),
            )
