"""The HTTP of the scripted server, without a socket."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_http.testing import RecordedRequest, Reply
from prefactor_http.testing.wire import MalformedRequestError, read_body, read_head, render

PLAIN = (
    b"POST /api/v1/a%2Fb?x=1&y=%20 HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n"
    b'X-Thing:  spaced \r\n\r\n{"a":1}'
)
CHUNKED = (
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    b"3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n"
)


async def read_all(parts: list[bytes]) -> list[tuple[RecordedRequest, bytes | None]]:
    """Return every request in a stream that arrives in `parts`."""
    reader = asyncio.StreamReader()

    async def arrive() -> None:
        for part in parts:
            reader.feed_data(part)
            await asyncio.sleep(0)
        reader.feed_eof()

    arriving = asyncio.create_task(arrive())
    requests: list[tuple[RecordedRequest, bytes | None]] = []
    while head := await read_head(reader):
        requests.append((head, await read_body(reader, head.headers)))
    await arriving
    return requests


@given(st.lists(st.integers(0, len(PLAIN + CHUNKED)), max_size=8))
def test_any_split_gives_the_same_requests(cuts: list[int]) -> None:
    """Requests parse the same however their bytes are split, plain and chunked."""
    stream = PLAIN + CHUNKED
    edges = [0, *sorted(cuts), len(stream)]
    parts = [stream[a:b] for a, b in pairwise(edges) if a < b]

    (plain, plain_body), (chunked, chunked_body) = asyncio.run(read_all(parts))

    assert (plain.method, plain.path, plain.query) == ("POST", "/api/v1/a/b", {"x": "1", "y": " "})
    assert plain.target == "/api/v1/a%2Fb?x=1&y=%20"
    assert (plain.headers["x-thing"], plain_body) == ("spaced", b'{"a":1}')
    assert (chunked.path, chunked_body) == ("/c", b"abcdefg")
    assert (plain.keeps_connection, chunked.keeps_connection) == (True, False)


@pytest.mark.parametrize(
    "stream",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
    ],
)
async def test_invalid_http_is_refused(stream: bytes) -> None:
    """Bytes that are not an HTTP request raise a clear error."""
    with pytest.raises(MalformedRequestError):
        await read_all([stream])


async def test_a_client_may_disconnect_at_any_point() -> None:
    """A stream that ends inside a head holds no request; inside a body, one without a body."""
    assert await read_all([PLAIN[:20]]) == []
    [(_, body)] = await read_all([PLAIN[:-1]])
    assert body is None


def test_json_of_a_request() -> None:
    """The body of a request is decoded on demand; without a body it is `None`."""
    request = RecordedRequest("POST", "/", "/", {}, {}, b'{"a": [1]}')
    assert request.json == {"a": [1]}
    assert RecordedRequest("GET", "/", "/", {}, {}).json is None


def test_the_repr_hides_credentials() -> None:
    """The representation of a request, as a failing assertion prints it, shows no credentials."""
    request = RecordedRequest("GET", "/", "/", {}, {"authorization": "Bearer secret"})
    assert "secret" not in repr(request)


@pytest.mark.parametrize(
    ("body", "content_type", "sent"),
    [
        ({"a": 1}, "application/json; charset=utf-8", b'{"a": 1}'),
        ([1], "application/json; charset=utf-8", b"[1]"),
        ("<p>", "text/html; charset=utf-8", b"<p>"),
        (b"\x00", "application/octet-stream", b"\x00"),
        (None, "application/json", b""),
    ],
)
def test_bodies_have_their_content_type(body: object, content_type: str, sent: bytes) -> None:
    """Each kind of body gets its content type and its true length."""
    head, rendered = render(Reply(200, body), keeps_connection=True)  # type: ignore[arg-type]

    assert rendered == sent
    assert f"content-type: {content_type}\r\n".encode() in head
    assert f"content-length: {len(sent)}\r\n".encode() in head


def test_headers_of_a_reply_win() -> None:
    """A reply can replace the server's headers and use a non-standard status."""
    headers = {"Content-Type": "text/plain", "Retry-After": "3"}
    head, _ = render(Reply(299, "x", headers), keeps_connection=False)

    assert head.startswith(b"HTTP/1.1 299 Unknown\r\n")
    assert head.count(b"content-type") == 1
    assert b"content-type: text/plain\r\n" in head
    assert b"retry-after: 3\r\n" in head
    assert b"connection: close\r\n" in head
