"""How often somebody may try a password: a bucket of attempts that fills up slowly."""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

_SECOND_US: Final = 1_000_000
_NETWORK_BITS: Final = 64


class Allowance(NamedTuple):
    """How many attempts there are at once, and how long it takes until there is one more."""

    attempts: int
    seconds_each: int


PER_EMAIL: Final = Allowance(10, 90)
PER_ADDRESS: Final = Allowance(50, 18)


class Attempts(NamedTuple):
    """How many attempts were left at a moment."""

    left: float
    at: int

    @classmethod
    def full(cls, allowance: Allowance, now: int) -> Attempts:
        """Return the attempts of somebody who has not tried yet."""
        return cls(float(allowance.attempts), now)

    def refilled(self, allowance: Allowance, now: int) -> Attempts:
        """Return the attempts as they are now."""
        gained = max(0, now - self.at) / (allowance.seconds_each * _SECOND_US)
        return Attempts(min(self.left + gained, allowance.attempts), now)

    def seconds_until_one(self, allowance: Allowance) -> int:
        """Return after how many whole seconds there is one again, at least one."""
        return max(1, -int(-max(0.0, 1 - self.left) * allowance.seconds_each // 1))


def address_group(address: str) -> str:
    """Return whom an address counts for: one household has 2**64 addresses of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004 - the version of IP
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), _NETWORK_BITS), strict=False))
