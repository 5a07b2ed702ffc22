"""Compressed bodies: accepted by every route with a body, within the same limits."""

import gzip
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from api_client import Answer
from front_door import bulk_of_spans, register
from raw_socket import RawSocket

from live_server import LiveServer
from prefactor_server.api.operations import OPERATIONS

LIMIT = 200_000  # the limit of the server of this folder
BULK = "/api/v1/bulk"
WRITES = sorted({(one.method, one.path) for one in OPERATIONS if one.method != "GET"})


def _compressed(line: RawSocket, path: str, body: bytes, *, method: str = "POST") -> Answer:
    return line.ask(method, path, "Content-Encoding: gzip", body=body)


def _refused(answer: Answer, status: int) -> Any:
    assert answer.status == status, answer.text
    assert answer.body["code"] == "bad_request"
    assert answer.body["request_id"] == answer.headers["x-request-id"]
    return answer.body


def _without_id(answer: Answer) -> str:
    return answer.text.replace(answer.headers["x-request-id"], "")


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_every_route_with_a_body_takes_it_compressed(
    line: RawSocket, method: str, path: str
) -> None:
    """A compressed body gets the same answer as its text."""
    path = re.sub("{.*}", "some-id", path)
    texts = [b'{"details": {"name": 5}', b'["a list"]', b'{"count": "none"}']

    for text in texts:
        plain, packed = (
            line.ask(method, path, body=text),
            _compressed(line, path, gzip.compress(text), method=method),
        )

        assert plain.status == packed.status
        assert _without_id(plain) == _without_id(packed)


def test_a_compressed_bulk_request_works(server: LiveServer, line: RawSocket) -> None:
    """A highly compressed body is inflated whole, even if it arrives in many pieces."""
    register(server, "packed")
    text = json.dumps(bulk_of_spans("packed", 0, 200, payload={"text": "word " * 50})).encode()
    assert len(text) < LIMIT
    request = line.request("POST", BULK, "Content-Encoding: x-GZIP", body=gzip.compress(text))
    for start in range(0, len(request), 997):
        line.send(request[start : start + 997])

    first, second = line.read(), line.ask("POST", BULK, body=text)

    outputs = first.body["outputs"]
    assert {one["status"] for one in outputs.values()} == {"success"}
    assert len(outputs) == 200
    assert second.body["outputs"] == outputs


def test_every_answer_says_that_requests_may_be_compressed(line: RawSocket) -> None:
    """A success, an error and the answer to a malformed request all announce it."""
    answers = [
        line.ask("GET", "/api/v1/ping"),
        line.ask("GET", "/api/v1/nowhere"),
        line.ask("POST", BULK, body=b"{"),
        line.ask("GET", "/api/v1/ping", "Authorization: Bearer another"),
    ]

    assert [answer.headers["accept-encoding"] for answer in answers] == ["gzip"] * 4


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A small request that inflates to a large one."""
    return gzip.compress(b'{"items": "' + bytes(180_000_000), 9)


@pytest.mark.parametrize("kind", ["bulk", "span"])
def test_a_bomb_is_refused_at_the_limit(
    server: LiveServer, bomb: bytes, line: RawSocket, kind: str
) -> None:
    """A request that inflates to a thousand times its size is refused at the limit, not after."""
    path = BULK if kind == "bulk" else "/api/v1/agent_spans"
    assert len(bomb) < LIMIT
    before = _peak(server)

    answer = _compressed(line, path, bomb)

    body = _refused(answer, 413)
    assert (body["limit"], body["limit_of"]) == (LIMIT, "request_bytes")
    assert str(LIMIT) in body["message"]
    assert _peak(server) - before < 20_000_000


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_the_limit_applies_to_the_decompressed_size(line: RawSocket, size: int) -> None:
    """The limit applies to the decompressed size, to the byte."""
    text = b'{"items": "' + b"x" * (size - 13) + b'"}'
    assert len(text) == size

    plain, packed = line.ask("POST", BULK, body=text), _compressed(line, BULK, gzip.compress(text))

    assert plain.status == packed.status == (422 if size == LIMIT else 413)


def test_the_limit_applies_to_the_compressed_size(line: RawSocket) -> None:
    """The received bytes are counted as well, whether or not their size is announced."""
    members = gzip.compress(b"") * (LIMIT // 20 + 1)

    _refused(_compressed(line, BULK, members), 413)


_GOOD = gzip.compress(b'{"items": []}')
_BROKEN = {
    "truncated": _GOOD[:-9],
    "without its checksum": _GOOD[:-8],
    "cut in the header": _GOOD[:5],
    "one byte": _GOOD[:1],
    "no gzip": b'{"items": []}',
    "another format": zlib.compress(b"{}"),
    "a wrong checksum": _GOOD[:-8] + bytes(4) + _GOOD[-4:],
    "damaged": _GOOD[:12] + b"\xff\xff" + _GOOD[14:],
    "garbage behind it": _GOOD + b"garbage",
    "a second member": _GOOD + _GOOD,
}


@pytest.mark.parametrize("name", _BROKEN)
def test_a_broken_stream_is_a_bad_request(line: RawSocket, name: str) -> None:
    """Anything but one complete gzip stream is a 400, and the connection stays open."""
    body = _refused(_compressed(line, BULK, _BROKEN[name]), 400)

    assert "gzip stream" in body["message"]
    assert line.ask("GET", "/api/v1/ping").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Encoding: br",),
        ("Content-Encoding: zstd",),
        ("Content-Encoding: deflate",),
        ("Content-Encoding: gzip, gzip",),
        ("Content-Encoding: gzip", "Content-Encoding: gzip"),
        ("Content-Encoding: gzip, br",),
        ("Content-Encoding: \xff\xfe",),
    ],
)
def test_an_unknown_encoding_is_a_415(line: RawSocket, headers: tuple[str, ...]) -> None:
    """Unknown encodings and several at once are a 415, which names the accepted ones."""
    answer = line.ask("POST", BULK, *headers, body=gzip.compress(_GOOD))

    _refused(answer, 415)
    assert answer.headers["accept-encoding"] == "gzip, identity"


@pytest.mark.parametrize("header", ["identity", "", "Identity, ", " , identity"])
def test_the_identity_encoding_is_accepted(line: RawSocket, header: str) -> None:
    """No encoding and the identity encoding are the same."""
    answer = line.ask("POST", BULK, f"Content-Encoding: {header}", body=b'{"items": []}')

    assert answer.status == 422


def test_an_empty_body_may_have_the_header(server: LiveServer, line: RawSocket) -> None:
    """A client that always sends the header may send it without a body."""
    register(server, "no-body")

    answer = line.ask("POST", "/api/v1/agent_instance/no-body/start", "Content-Encoding: gzip")

    assert answer.body["details"]["status"] == "active"


def test_a_compressed_body_needs_a_token(line: RawSocket) -> None:
    """Without a token nothing is inflated, and the answer is the usual 401."""
    line.token = "nobody"

    answer = _compressed(line, BULK, b"no gzip")

    assert (answer.status, answer.headers["accept-encoding"]) == (401, "gzip")


def _peak(server: LiveServer) -> int:
    """Return the server's peak memory in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
