"""A budget of retries that all calls of a client share, so that retries cannot become a storm.

Back-off spaces the retries of *one* call. It does nothing about a thousand calls that each retry
three times against a service that is down: the load on it is four times the usual one exactly
when it can least bear that. The bucket ends this: retries take tokens, successes bring them back,
and when the bucket is empty a failure surfaces at once.
"""

from __future__ import annotations

CAPACITY = 500
"""Tokens in a full bucket."""
RETRY_COST = 3
"""Tokens for a retry: 166 in a row. Two hundred tasks that share a client and lose 40 % of
their replies have some 125 retries outstanding (200 x (0.4 + 0.4^2 + 0.4^3)), which still fits; a
service that is down sees at most 166 extra requests before the load is back to one per call."""
TIMEOUT_COST = 6
"""Tokens for the retry of an attempt that ran into a timeout: it has occupied the server for as
long as it lasted, and slowness is the commonest sign of too much load."""
SUCCESS_REFUND = 1
"""Tokens that a call earns which succeeded at its first attempt. In the long run retries then
are at most a third of the calls that succeed."""


class RetryQuota:
    """A token bucket; every call of a client and of its `with_options` children shares one.

    Not locked: it is used from one event loop, and no method awaits.
    """

    __slots__ = ("_capacity", "_tokens")

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Start with a full bucket of `capacity` tokens."""
        self._capacity = capacity
        self._tokens = capacity

    @property
    def tokens(self) -> int:
        """What is left."""
        return self._tokens

    def take(self, cost: int) -> bool:
        """Take the tokens for a retry; False, and nothing taken, when there are too few."""
        if cost > self._tokens:
            return False
        self._tokens -= cost
        return True

    def give_back(self, taken: int) -> None:
        """Note a success: return what its retries took, or the refund of a clean one."""
        self._tokens = min(self._capacity, self._tokens + (taken or SUCCESS_REFUND))
