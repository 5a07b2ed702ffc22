"""The client's address behind proxies is the last one that is not a trusted proxy's."""

import pytest

from prefactor_server.domain.client_address import TrustedProxies

PROXIES = TrustedProxies.parse("127.0.0.1, 10.0.0.0/8, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.5, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("::ffff:127.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("fd00::1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "198.51.100.1, unknown", "127.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_last_untrusted_address_counts(peer: str, forwarded: str, address: str) -> None:
    """Only an address that a trusted proxy appended counts, never one that a client wrote."""
    assert PROXIES.client_address(peer, forwarded) == address
