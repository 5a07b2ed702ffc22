"""Trailers and chunk extensions: limited like headers, and never read as headers."""

from contextlib import suppress

import pytest
from api_client import Answer
from front_door import ask
from raw_socket import RawSocket
from resident_memory import resident_megabytes

from live_server import LiveServer

PING = "/api/v1/ping"
AGENT = "/api/v1/agent"
FLOOD = 16 * 1024 * 1024
GROWTH = 12
"""Megabytes by which the server may grow in a flood. Storing trailers would exceed it."""


def _begin(line: RawSocket, token: str = "") -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {AGENT} HTTP/1.1\r\nHost: here\r\n{authorization}Transfer-Encoding: chunked\r\n\r\n"
    )
    return head.encode()


def _flood(line: RawSocket, piece: bytes) -> Answer | None:
    for _ in range(FLOOD // len(piece)):
        line.send(piece)
    # The reset of the connection may arrive before the answer.
    with suppress(ConnectionError):
        return line.read()
    return None


@pytest.mark.parametrize(
    "piece",
    [
        b"".join(b"a%d: b\r\n" % number for number in range(10_000)),
        b"x" * 100_000,
        b"a:\r\n" * 20_000,
    ],
    ids=["lines", "one line", "short lines"],
)
@pytest.mark.parametrize("known", [True, False])
def test_endless_trailers_are_refused(
    server: LiveServer, line: RawSocket, piece: bytes, known: bool
) -> None:
    """Endless trailers get a 431 or a closed connection, and are not stored."""
    before = resident_megabytes(server.pid)
    line.send(_begin(line, server.token if known else "") + b"2\r\n{}\r\n0\r\na: ")
    answer = _flood(line, piece)

    # Without a token, the API may answer first.
    assert answer is None or answer.status == 431 or (not known and answer.status == 401)
    assert resident_megabytes(server.pid) - before < GROWTH


@pytest.mark.parametrize(
    "piece",
    [b"x" * 100_000, b"1;a=" + b"x" * 1000 + b"\r\n \r\n", b"2;a;b;c;d;e;f;g;h;i;j;k;l\r\n  \r\n"],
    ids=["one", "each", "many short ones"],
)
def test_endless_chunk_extensions_are_refused(
    server: LiveServer, line: RawSocket, piece: bytes
) -> None:
    """Chunks that are mostly framing are answered 431, long before the body is too large."""
    line.send(_begin(line, server.token) + (b"1;a=" if piece[0:1] == b"x" else b""))
    answer = _flood(line, piece)

    assert answer is None or (answer.status, answer.headers["connection"]) == (431, "close")
    assert line.rest() == b""


@pytest.mark.parametrize("extension", [b"", b";a=b", b';name="a value"'])
def test_small_chunks_are_a_body(line: RawSocket, extension: bytes) -> None:
    """A chunk per byte, some extensions and some trailers are accepted."""
    body = b'{"details":{"name":"small-chunks-%d"}}' % len(extension)
    spaces = b" " * 20_000
    chunks = b"".join(b"1\r\n%c\r\n" % one for one in spaces + body)
    line.send(_begin(line, line.token) + b"1%b\r\n \r\n" % extension * 20 + chunks)
    line.send(b"0\r\nChecksum: 12\r\nServer-Timing: a\r\n\r\n")
    answer = line.read()

    assert answer.status == 200, answer.text
    assert line.ask("GET", PING).status == 200


@pytest.mark.parametrize("at_once", [True, False])
def test_a_trailer_is_not_a_header(server: LiveServer, line: RawSocket, at_once: bool) -> None:
    """A token in a trailer does not authenticate, and no trailer changes a request."""
    trailer = f"Authorization: Bearer {server.token}\r\n".encode()
    pieces = [_begin(line), b"2\r\n{}\r\n0\r\n", trailer, b"\r\n"]
    for piece in [b"".join(pieces)] if at_once else pieces:
        line.send(piece)

    assert line.read().status == 401
    assert line.ask("GET", PING).status == 200


@pytest.mark.parametrize(
    "trailer",
    [
        b"Authorization: Bearer another",
        b"Idempotency-Key: another",
        b"Content-Encoding: gzip",
        b"Expect: 100-continue",
        b"Host: elsewhere",
        b"Upgrade: h2c\r\nConnection: Upgrade",
    ],
    ids=lambda trailer: trailer.partition(b":")[0].decode(),
)
def test_a_header_in_a_trailer_is_ignored(line: RawSocket, trailer: bytes) -> None:
    """A header in a trailer has no effect."""
    body = b'{"details":{"name":"%b"}}' % trailer[:5]
    line.send(
        _begin(line, line.token) + b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(body), body, trailer)
    )
    answer = line.read()

    assert answer.status == 200, answer.text
    assert line.ask("GET", PING).status == 200


@pytest.mark.parametrize("trailer", [b"Connection: close", b"Connection: keep-alive, close"])
def test_a_trailer_that_says_close_closes(
    server: LiveServer, line: RawSocket, trailer: bytes
) -> None:
    """The parser stops at a trailer that says close, so the answer closes too."""
    line.send(_begin(line, server.token) + b"0\r\n" + trailer + b"\r\n\r\n")
    answer = line.read()

    assert answer.headers["connection"] == "close"
    assert line.rest() == b""
    assert ask(server, "GET", PING).status == 200


@pytest.mark.parametrize("trailer", [b"Content-Length: 5", b"Transfer-Encoding: gzip"])
def test_a_trailer_does_not_change_the_framing(
    server: LiveServer, line: RawSocket, trailer: bytes
) -> None:
    """A trailer cannot change where the body ends."""
    hidden = line.request("POST", AGENT, body=b'{"details":{"name":"behind-trailer"}}')
    line.send(_begin(line) + b"0\r\n" + trailer + b"\r\n\r\n" + hidden)

    assert line.read().status in (400, 401)
    names = {one["name"] for one in ask(server, "GET", AGENT).body["summaries"]}
    assert ("behind-trailer" in names) <= (line.rest() != b"")
