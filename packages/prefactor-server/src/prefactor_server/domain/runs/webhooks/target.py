"""Where a webhook may be sent: which URLs and which network addresses are allowed.

A person who administers an account must not be able to reach, through the server, what only the
server can reach: its own machine, its network, and the metadata service of its cloud. The addresses
of a host name are checked when a connection is made, because they may change at any time.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import SplitResult, urlsplit

MAX_URL: Final = 2048

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS: Final = {"https": 443, "http": 80}
# The last part of a host that a resolver may parse as an IPv4 address.
_NUMERIC_LABEL: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z", re.IGNORECASE)
_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?\Z")
# A host in brackets, and its port.
_IN_BRACKETS: Final = re.compile(r"\[[^][]*\](?::[0-9]*)?\Z")
_MAX_HOST: Final = 253
_PRINTABLE: Final = re.compile(r"[!-~]+\Z")

# Besides addresses that are not global: metadata services with global addresses, ranges that the
# Internet does not route, and IPv6 networks that map to arbitrary IPv4 addresses.
_RESERVED: Final[Sequence[Network]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/9",
        "ff00::/8",
    )
)


class Target(NamedTuple):
    """The parts of a webhook's URL that a request needs."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as a request names it, with the port unless it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class AllowedNetworks(NamedTuple):
    """The networks that webhooks may reach although they are private."""

    networks: Sequence[Network] = ()

    @classmethod
    def parse(cls, text: str) -> AllowedNetworks:
        """Parse a comma-separated list of addresses and networks.

        Raises:
            ValueError: an entry is neither.
        """
        parts = [part.strip() for part in text.split(",")]
        return cls([ipaddress.ip_network(part) for part in parts if part])

    def contain(self, address: Address) -> bool:
        """Return whether one of the networks contains an address."""
        return any(_plain(address) in network for network in self.networks)

    def refusal(self, address: Address, scheme: str) -> str | None:
        """Return why an address is not allowed, or None if it is."""
        if self.contain(address):
            return None
        plain = _plain(address)
        if not plain.is_global or any(plain in network for network in _RESERVED):
            return (
                f"{address} is a private or reserved address: the operator can allow it with the "
                "setting webhook_networks"
            )
        if scheme != "https":
            return f"{address} is a public address: it needs https://, which encrypts deliveries"
        return None


NO_NETWORKS: Final = AllowedNetworks()


def read_target(url: str, allowed: AllowedNetworks) -> Target:
    """Parse the URL of a webhook.

    Raises:
        ValueError: the URL is invalid or not allowed. The message completes "The URL ...".
    """
    if len(url) > MAX_URL or _PRINTABLE.match(url) is None:
        raise ValueError(f"must be at most {MAX_URL} printable ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("is not a valid URL: check its host and port") from error
    if parts.scheme not in _PORTS:
        raise ValueError("must begin with https://, or with http:// inside your own network")
    if "@" in parts.netloc or "\\" in url:
        raise ValueError(
            "must not contain a user name, a password or a backslash: receivers verify signatures"
        )
    if port == 0:
        raise ValueError("must have a port of 1 to 65535")
    host = _host(parts)
    target = Target(parts.scheme, host, port or _PORTS[parts.scheme], _path(parts))
    address = literal_address(host)
    if address is not None and (refusal := allowed.refusal(address, target.scheme)) is not None:
        raise ValueError(f"is not allowed: {refusal}")
    if target.scheme == "http" and not allowed.networks:
        raise ValueError(
            "must begin with https://: http:// is only allowed for the networks in the server's "
            "setting webhook_networks"
        )
    return target


def literal_address(host: str) -> Address | None:
    """Return the address if a host is an address, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    address = literal_address(host)
    if address is not None and "%" in host:
        raise ValueError("must not name a network interface")
    in_brackets = _IN_BRACKETS.match(parts.netloc) is not None
    if "[" in parts.netloc and not (in_brackets and isinstance(address, ipaddress.IPv6Address)):
        raise ValueError("must have an IPv6 address, and nothing else, in the brackets of its host")
    if address is not None:
        return str(address)
    name = host.rstrip(".")
    # "2130706433", "0x7f.1" and "127.1" are 127.0.0.1 to many resolvers.
    if _NUMERIC_LABEL.match(name.rpartition(".")[2]) is not None:
        raise ValueError("must have a host name, or an IP address written in full")
    if len(host) > _MAX_HOST or _HOST.match(host) is None:
        raise ValueError("must have a host name of letters, digits, hyphens and full stops")
    return host


def _path(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _plain(address: Address) -> Address:
    """Return the IPv4 address that is embedded in an IPv6 one."""
    mapped: ipaddress.IPv4Address | None = getattr(address, "ipv4_mapped", None)
    return mapped or address
