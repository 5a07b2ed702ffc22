"""The rate limit of password attempts: a token bucket that refills slowly."""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

from prefactor_server.domain.times import SECOND_US

_NETWORK_BITS: Final = 64


class Allowance(NamedTuple):
    """The size of the bucket, and the time to refill one attempt."""

    attempts: int
    seconds_each: int


PER_EMAIL: Final = Allowance(10, 90)
PER_ADDRESS: Final = Allowance(50, 18)


class Attempts(NamedTuple):
    """The number of attempts that are left at a time."""

    left: float
    at: int

    @classmethod
    def full(cls, allowance: Allowance, now: int) -> Attempts:
        """Return a full bucket."""
        return cls(float(allowance.attempts), now)

    def refilled(self, allowance: Allowance, now: int) -> Attempts:
        """Return the bucket refilled until now."""
        gained = max(0, now - self.at) / (allowance.seconds_each * SECOND_US)
        return Attempts(min(self.left + gained, allowance.attempts), now)

    def seconds_until_one(self, allowance: Allowance) -> int:
        """Return the whole seconds until the next attempt is allowed, at least one."""
        return max(1, -int(-max(0.0, 1 - self.left) * allowance.seconds_each // 1))


def address_group(address: str) -> str:
    """Return the network that an address counts as, because a household has 2**64 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004 - the version of IP
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), _NETWORK_BITS), strict=False))
