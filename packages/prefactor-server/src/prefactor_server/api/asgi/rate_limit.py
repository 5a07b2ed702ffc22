"""Rate limits for requests per token and for password attempts, counted in this process only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from prefactor_server.domain.errors import Overloaded
from prefactor_server.domain.people.sign_in_attempts import (
    PER_ADDRESS,
    PER_EMAIL,
    Allowance,
    Attempts,
    address_group,
)
from prefactor_server.domain.rate_limit import WAIT_SECONDS, Bucket

_MAX_BUCKETS: Final = 10_000


class RateLimiter:
    """Limits requests with a token bucket per API token. ``per_second`` of 0 disables the limit.

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
                f"This token may send {self._per_second} requests a second: send the request later",
                retry_after=WAIT_SECONDS,
            )


class SignInLimiter:
    """Limits password attempts per e-mail and per client address.

    An attempt counts before its password is checked, so that concurrent attempts count too. A
    successful attempt is uncounted.
    """

    def __init__(self) -> None:
        self._attempts: OrderedDict[tuple[Allowance, str], Attempts] = OrderedDict()

    def take(self, email: str | None, address: str, now: int) -> None:
        """Count an attempt. Without an e-mail, count it for the client address only.

        Raises:
            Overloaded: there were too many. The error does not reveal whether the e-mail exists.
        """
        for key in _keys(email, address):
            allowance = key[0]
            found = self._attempts.pop(key, None) or Attempts.full(allowance, now)
            attempts = found.refilled(allowance, now)
            self._attempts[key] = attempts._replace(left=max(0.0, attempts.left - 1))
            if len(self._attempts) > _MAX_BUCKETS:
                self._attempts.popitem(last=False)
            if attempts.left < 1:
                raise Overloaded(
                    "Too many attempts to sign in: try again later, or ask an operator for a link "
                    "(prefactor-server admin link)",
                    retry_after=attempts.seconds_until_one(allowance),
                )

    def give_back(self, email: str | None, address: str) -> None:
        """Uncount an attempt that succeeded."""
        for key in _keys(email, address):
            found = self._attempts.get(key)
            if found is not None:
                self._attempts[key] = found._replace(left=found.left + 1)


def _keys(email: str | None, address: str) -> tuple[tuple[Allowance, str], ...]:
    by_address = (PER_ADDRESS, address_group(address))
    return (by_address,) if email is None else (by_address, (PER_EMAIL, email.casefold()))
