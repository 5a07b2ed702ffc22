"""A budget of retries that all calls of a client share, to prevent retry storms.

Backoff spaces the retries of *one* call. With a thousand calls that each retry three times against
a failing service, the load is still four times the usual one, exactly when the service can least
bear it. The budget prevents that: retries take tokens, successes return them, and without tokens a
failure is raised at once.
"""

from __future__ import annotations

CAPACITY = 500
"""Tokens in a full bucket."""
RETRY_COST = 3
"""Tokens for a retry: the bucket allows 166 in a row. If 200 tasks share a client and lose 40 % of
their responses, about 125 retries are outstanding (200 x (0.4 + 0.4^2 + 0.4^3)), which fits. A
failing service gets at most 166 extra requests before the load is back to one per call."""
TIMEOUT_COST = 6
"""Tokens for the retry of an attempt that timed out. It has occupied the server for its whole
duration, and slowness is the commonest sign of overload."""
SUCCESS_REFUND = 1
"""Tokens returned by a call that succeeds at its first attempt. In the long run, retries are at
most a third of the successful calls."""


class RetryQuota:
    """A token bucket, shared by all calls of a client and of its `with_options` copies.

    Needs no lock: no method awaits, and loops in several threads at most miscount by a few tokens.
    """

    __slots__ = ("_capacity", "_tokens")

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Create a full bucket of `capacity` tokens."""
        self._capacity = capacity
        self._tokens = capacity

    @property
    def tokens(self) -> int:
        """The remaining tokens."""
        return self._tokens

    def take(self, cost: int) -> bool:
        """Take the tokens for a retry, or return False and take none if there are too few."""
        if cost > self._tokens:
            return False
        self._tokens -= cost
        return True

    def give_back(self, taken: int) -> None:
        """Record a success: return the tokens of its retries, or the refund if it had none."""
        self._tokens = min(self._capacity, self._tokens + (taken or SUCCESS_REFUND))
