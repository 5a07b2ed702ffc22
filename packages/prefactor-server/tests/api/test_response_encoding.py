"""Content negotiation: which encoding a caller accepts, and that all hold the same bytes."""

import gzip
from typing import Any

import pytest
import zstandard

from prefactor_server.api.asgi.response_encoding import accepted_coding


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("GZip, Deflate", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("zstd; q=0, gzip;q=0.1", "gzip"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("*;q=0.5, zstd;q=0", "gzip"),
        ("gzip;q=nan", None),
        ("gzip;q=2", None),
        ("gzip;level=9", None),
        ("," * 100_000 + "gzip", None),
    ],
)
def test_the_preferred_encoding_is_used(accept_encoding: str, coding: str | None) -> None:
    """Weights decide, then zstd before gzip; a refused or malformed encoding is not used."""
    assert accepted_coding(accept_encoding) == coding


async def test_a_compressed_skeleton_is_the_plain_one(api_client: Any) -> None:
    """Each encoding holds the same bytes, with its length; lists stay plain."""
    run = await api_client.run()
    for number in range(20):
        await api_client.span(run, payload={"n": number})
    path = f"/agent_instance/{run['id']}/skeleton"

    async def fetched(accept: str, target: str = path) -> tuple[Any, bytes]:
        headers = {"Authorization": f"Bearer {api_client.token}", "Accept-Encoding": accept}
        url = f"{api_client.url}/api/v1{target}"
        async with api_client.session.get(url, headers=headers, auto_decompress=False) as response:
            body = await response.read()
            assert response.status == 200
            assert int(response.headers["Content-Length"]) == len(body)
            return response.headers, body

    plain_headers, plain = await fetched("identity")
    gzip_headers, zipped = await fetched("gzip")
    zstd_headers, compact = await fetched("gzip, zstd")
    list_headers, _ = await fetched("gzip, zstd", "/agent_instance")

    assert "Content-Encoding" not in plain_headers
    assert (gzip_headers["Content-Encoding"], zstd_headers["Content-Encoding"]) == ("gzip", "zstd")
    assert "Content-Encoding" not in list_headers
    assert {one["Vary"].lower() for one in (plain_headers, gzip_headers, zstd_headers)} == {
        "accept-encoding"
    }
    assert gzip.decompress(zipped) == plain
    assert zstandard.ZstdDecompressor().decompressobj().decompress(compact) == plain
    assert max(len(zipped), len(compact)) < len(plain) / 2
