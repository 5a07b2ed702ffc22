"""That every encoding of a response holds the same bytes."""

import gzip
from typing import Any

import zstandard


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
    _, refused = await fetched("gzip;q=0, zstd;q=0.1, identity;q=0.5")
    gzip_headers, zipped = await fetched("gzip")
    zstd_headers, compact = await fetched("gzip, zstd")
    list_headers, _ = await fetched("gzip, zstd", "/agent_instance")

    assert "Content-Encoding" not in plain_headers
    assert (gzip_headers["Content-Encoding"], zstd_headers["Content-Encoding"]) == ("gzip", "zstd")
    assert "Content-Encoding" not in list_headers
    assert {one["Vary"].lower() for one in (plain_headers, gzip_headers, zstd_headers)} == {
        "accept-encoding"
    }
    assert gzip.decompress(zipped) == refused == plain
    assert zstandard.ZstdDecompressor().decompressobj().decompress(compact) == plain
    assert max(len(zipped), len(compact)) < len(plain) / 2
