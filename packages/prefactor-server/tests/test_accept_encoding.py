"""Content negotiation: which coding a client accepts and prefers."""

import pytest

from prefactor_server.http.accept_encoding import preferred_coding


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("not-gzip", None),
        ("GZip, Deflate", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("zstd; q=0, gzip;q=0.1", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.000", None),
        ("gzip ; Q=0", None),
        ("*", "zstd"),
        ("*;q=0", None),
        ("*;q=0, gzip", "gzip"),
        ("*;q=0.5, zstd;q=0", "gzip"),
        ("identity;q=0", None),
        ("identity;q=0, gzip", "gzip"),
        ("identity;q=0, *", "zstd"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity, gzip", "gzip"),
        ("gzip;q=nan", None),
        ("gzip;q=2", None),
        ("gzip;q=-1", None),
        ("gzip;q=0_1", None),
        ("gzip;level=9", None),
        ("," * 100_000 + "gzip", None),
    ],
)
def test_preferred_coding(accept_encoding: str, coding: str | None) -> None:
    """Weights decide, then zstd before gzip; a refused or malformed coding is not used."""
    headers = [(b"accept", b"*/*"), (b"accept-encoding", accept_encoding.encode())]

    assert preferred_coding(headers, ("zstd", "gzip")) == coding


def test_several_fields() -> None:
    """Several fields are one list, and without any the content is plain."""
    fields = [(b"accept-encoding", b"gzip;q=0.5"), (b"accept-encoding", b"deflate")]

    assert preferred_coding(fields, ("gzip", "deflate")) == "deflate"
    assert preferred_coding([], ("gzip",)) is None
