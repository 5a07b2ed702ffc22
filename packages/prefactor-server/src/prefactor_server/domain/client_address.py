"""The address of a client, as reported by trusted proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAX_HOPS = 20


class TrustedProxies(NamedTuple):
    """The networks whose forwarding headers are trusted."""

    networks: Sequence[_Network] = ()

    @classmethod
    def parse(cls, text: str) -> TrustedProxies:
        """Parse addresses and networks separated by commas.

        Raises:
            ValueError: an entry is neither.
        """
        parts = [part.strip() for part in text.split(",")]
        return cls([ipaddress.ip_network(part) for part in parts if part])

    def trusts(self, address: str) -> bool:
        """Return whether an address belongs to a trusted proxy."""
        if not self.networks:
            return False
        try:
            parsed = _unmapped(ipaddress.ip_address(address))
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)

    def client_address(self, peer: str, forwarded_for: str) -> str:
        """Return the last address that is not a trusted proxy's.

        Every proxy appends the address that it was called from. Entries to the left of those that
        trusted proxies appended may be forged.
        """
        address = peer
        for hop in reversed(forwarded_for.split(",")[-_MAX_HOPS:]):
            if not self.trusts(address):
                break
            previous = _without_port(hop.strip())
            if previous is None:
                break
            address = previous
        return address


NO_PROXIES: Final = TrustedProxies()


def _unmapped(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(hop: str) -> str | None:
    """Return the address of an entry without its port, or None if it is not an address."""
    for text in (hop, hop.strip("[]"), hop.rpartition(":")[0].strip("[]")):
        try:
            return str(_unmapped(ipaddress.ip_address(text)))
        except ValueError:
            continue
    return None
