"""The allowed targets of webhooks."""

import ipaddress

import pytest

from prefactor_server.domain.runs.webhooks.target import NO_NETWORKS, AllowedNetworks, read_target

OURS = AllowedNetworks.parse("10.0.0.0/8, 127.0.0.1, fd00::/8")


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://example.org", "example.org", 443, "/", "example.org"),
        ("https://Example.ORG:8443/in?a=1", "example.org", 8443, "/in?a=1", "example.org:8443"),
        ("https://8.8.8.8/x#part", "8.8.8.8", 443, "/x", "8.8.8.8"),
        ("https://[2606:4700::1111]:444/", "2606:4700::1111", 444, "/", "[2606:4700::1111]:444"),
    ],
)
def test_a_public_url_is_split(url: str, host: str, port: int, path: str, authority: str) -> None:
    """Host, port and path are used, and a fragment is dropped."""
    target = read_target(url, NO_NETWORKS)

    assert (target.host, target.port, target.path, target.authority) == (
        host,
        port,
        path,
        authority,
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://example.org/", "must begin with https://"),
        ("//example.org/", "must begin with https://"),
        ("https:///path", "host name"),
        ("https://user:pass@example.org/", "must not contain a user name"),
        ("https://example.org\\@10.0.0.1/", "must not contain a user name"),
        ("https://example.org:99999/", "is not a valid URL"),
        ("https://example.org:0/", "1 to 65535"),
        ("https://[::1", "is not a valid URL"),
        ("https://[v1.a]/", "in the brackets"),
        ("https://[v1.a]:8443/", "in the brackets"),
        ("https://exa mple.org/", "printable ASCII"),
        ("https://example.org/\u00e4", "printable ASCII"),
        ("https://ex\u24d0mple.org/", "printable ASCII"),
        ("https://example.org/\r\nX-Header: 1", "printable ASCII"),
        ("https://example.org/" + "a" * 2048, "2048"),
        ("http://example.org/", "must begin with https://"),
        ("https://2130706433/", "written in full"),
        ("https://0x7f000001/", "written in full"),
        ("https://127.1/", "written in full"),
        ("https://0177.0.0.1/", "written in full"),
        ("https://example.0x7f./", "written in full"),
        ("https://[fe80::1%25eth0]/", "interface"),
        ("https://127.0.0.1/", "webhook_networks"),
        ("https://[::ffff:127.0.0.1]/", "webhook_networks"),
    ],
)
def test_an_invalid_url_is_refused(url: str, message: str) -> None:
    """Other schemes, credentials, numbers in place of hosts and private addresses are refused."""
    with pytest.raises(ValueError, match=message):
        read_target(url, NO_NETWORKS)


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.8.9.10"),
        *("168.63.129.16", "169.254.169.254", "172.16.0.1", "192.0.0.192", "192.168.0.1"),
        *("192.88.99.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"),
        "255.255.255.255",
        *("::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:7f00:1::"),
        *("2002:a9fe:a9fe::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"),
        *("100::1", "3fff::1", "5f00::1"),
    ],
)
def test_no_private_address_is_reached(text: str) -> None:
    """Loopback, private, link-local, metadata, multicast, and IPv6 forms of them are refused."""
    refusal = NO_NETWORKS.refusal(ipaddress.ip_address(text), "https")

    assert refusal is not None
    assert "webhook_networks" in refusal


def test_named_networks_are_reached() -> None:
    """The networks in the setting are allowed, also without TLS; nothing else is."""
    for text in ("10.9.9.9", "127.0.0.1", "::ffff:10.0.0.1", "fd00::5"):
        for scheme in ("https", "http"):
            assert OURS.refusal(ipaddress.ip_address(text), scheme) is None
    for text in ("127.0.0.2", "192.168.0.1", "2002:a00:1::", "64:ff9b::a00:1"):
        assert OURS.refusal(ipaddress.ip_address(text), "https") is not None
    assert read_target("http://10.0.0.1:8080/in", OURS).port == 8080
    assert read_target("http://receiver.internal/in", OURS).host == "receiver.internal"


def test_a_public_address_needs_tls() -> None:
    """Nothing is sent in the clear to a name that resolves to a public address."""
    public = ipaddress.ip_address("8.8.8.8")

    assert OURS.refusal(public, "https") is None
    assert "https://" in (OURS.refusal(public, "http") or "")
