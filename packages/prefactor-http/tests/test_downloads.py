"""Downloads: a response of any size, in chunks."""

from __future__ import annotations

import gzip

import pytest

from prefactor_http import (
    PrefactorHttpClient,
    PrefactorNetworkError,
    PrefactorNotFoundError,
    PrefactorRequestError,
    PrefactorResponseContractError,
    RequestOptions,
)
from prefactor_http.testing import Reply, ScriptedServer, StreamedReply

LINES = b"".join(b'{"type":"agent_span","n":%d}\n' % n for n in range(50_000))
NDJSON = {"Content-Type": "application/x-ndjson"}
MISSING = {"status": "error", "code": "not_found", "message": "Agent instance not found"}


def pieces(body: bytes, size: int = 10_000) -> list[bytes]:
    """A body in pieces."""
    return [body[start : start + size] for start in range(0, len(body), size)]


async def exported(client: PrefactorHttpClient) -> list[bytes]:
    """Return what a run's export yields."""
    return [piece async for piece in client.agent_instances.export("a/b")]


MEMBERS = gzip.compress(b'{"n":1}\n') + gzip.compress(b"") + gzip.compress(b'{"n":2}\n' * 9)


@pytest.mark.parametrize("size", [1, 7, len(MEMBERS)])
async def test_a_download_of_several_gzip_members_is_read_whole(
    client: PrefactorHttpClient, server: ScriptedServer, size: int
) -> None:
    """Members written one after the other, as by a proxy that joins files, are one text."""
    headers = {**NDJSON, "Content-Encoding": "gzip"}
    server.script(
        StreamedReply(pieces(MEMBERS, size), headers=headers),
        StreamedReply(pieces(MEMBERS[:-3], size), headers=headers),
    )

    assert b"".join(await exported(client)) == b'{"n":1}\n' + b'{"n":2}\n' * 9
    with pytest.raises(PrefactorResponseContractError, match="ends early"):
        await exported(client)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_an_export_is_read_in_chunks(
    client: PrefactorHttpClient, server: ScriptedServer, coding: str
) -> None:
    """The text is complete, compressed or not, and may exceed the limit of other responses."""
    body = LINES if coding == "identity" else gzip.compress(LINES)
    headers = {**NDJSON, "Content-Encoding": coding}
    server.script(StreamedReply(pieces(body), headers=headers))

    found = await exported(client)

    assert b"".join(found) == LINES
    assert len(found) > 1
    assert server.requests[0].target == "/api/v1/agent_instance/a%2Fb/export?format=jsonl"


async def test_opening_is_retried(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Opening is retried if the server is busy, and a refusal raises the error of any call."""
    server.script(Reply(503, {}), StreamedReply([b"{}\n"], headers=NDJSON), Reply(404, MISSING))

    assert await exported(client) == [b"{}\n"]
    with pytest.raises(PrefactorNotFoundError):
        await exported(client)


async def test_a_truncated_download_is_an_error(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A lost connection and truncated compressed data are errors."""
    server.script(
        StreamedReply([b"{}\n"], headers={**NDJSON, "Content-Length": "100"}, chunked=False),
        StreamedReply([gzip.compress(LINES)[:-50]], headers={**NDJSON, "Content-Encoding": "gzip"}),
        StreamedReply([b"<html>"], headers={"Content-Type": "text/html"}),
    )

    with pytest.raises(PrefactorNetworkError):
        await exported(client)
    with pytest.raises(PrefactorResponseContractError, match="ends early"):
        await exported(client)
    with pytest.raises(PrefactorResponseContractError):
        await exported(client)


async def test_a_coding_that_was_not_requested_is_refused(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """An export in another coding is an error of this package, and nothing of it is yielded."""
    server.script(StreamedReply([b"?"], headers={**NDJSON, "Content-Encoding": "zstd"}))

    with pytest.raises(PrefactorResponseContractError, match="content coding 'zstd'"):
        await exported(client)


@pytest.mark.parametrize("value", ["a\nb", 5])
async def test_a_header_that_cannot_be_sent_is_refused(
    client: PrefactorHttpClient, server: ScriptedServer, value: object
) -> None:
    """A download raises the same error as any call, and sends nothing."""
    options = RequestOptions(headers={"X-Note": value})  # type: ignore[dict-item]

    with pytest.raises(PrefactorRequestError):
        [piece async for piece in client.download("/x", options=options)]
    assert not server.requests
