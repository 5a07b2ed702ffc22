"""Requests that never end: refused with a message, without blocking others."""

import resource
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from front_door import ask
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from raw_socket import SECONDS, RawSocket, connected

from live_server import LiveServer, start_server

PING = "/api/v1/ping"
AGENT = "/api/v1/agent"
FLOOD = 300


@pytest.mark.parametrize(
    "begun",
    [
        b"GET",
        b"GET /api/v1/ping HTTP/1.1\r\nHost: here\r\n",
        b"POST /api/v1/agent HTTP/1.1\r\nContent-Length: 100\r\nX-Half",
    ],
)
def test_a_head_that_does_not_end_is_cut_off(line: RawSocket, begun: bytes) -> None:
    """An unfinished head is answered 408, with the usual error body."""
    line.send(begun)
    answer = line.read()

    assert answer.status == 408
    assert answer.headers["connection"] == "close"
    assert answer.body["request_id"] == answer.headers["x-request-id"]
    assert set(answer.body) == {"status", "code", "message", "request_id"}
    assert line.rest() == b""


@pytest.mark.parametrize("size", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_end_is_cut_off(
    server: LiveServer, line: RawSocket, size: str
) -> None:
    """An unfinished body is a 408 and has no effect."""
    half = b'{"details":{"name":"half"}'
    begun = half if "Length" in size else b"%x\r\n%b\r\n" % (len(half), half)
    line.send(line.request("POST", AGENT, size) + begun)

    assert line.read().status == 408
    assert line.rest() == b""
    assert "half" not in ask(server, "GET", f"{AGENT}?pagination[page_size]=100").text


def test_an_unfinished_export_is_retryable(line: RawSocket) -> None:
    """An unfinished OTLP body is a 503, because exporters drop data after a 408."""
    kind = "Content-Type: application/x-protobuf"
    line.send(line.request("POST", "/v1/traces", kind, "Content-Length: 100") + b"half")
    answer = line.read()

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert Status.FromString(answer.content).code == Code.UNAVAILABLE
    assert line.rest() == b""


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_trickle_is_cut_off(server: LiveServer, line: RawSocket, part: str) -> None:
    """A byte now and then does not extend the timeout, and others are served."""
    size = "Content-Length: 100000"
    begun = b"GET / HTTP/1.1\r\nX: " if part == "head" else line.request("POST", AGENT, size)
    line.send(begun)
    for _ in range(12):
        line.send(b"x")
        assert ask(server, "GET", PING).status == 200
        time.sleep(SECONDS / 8)

    assert line.read().status == 408


def test_a_silent_connection_is_closed(line: RawSocket) -> None:
    """A connection that never sends anything gets no answer."""
    assert line.rest() == b""


def test_bytes_between_requests_do_not_extend_the_timeout(line: RawSocket) -> None:
    """Empty lines after an answer do not keep a connection open."""
    assert line.ask("GET", PING).status == 200
    line.send(b"\r\n")

    assert line.rest() == b""


def test_the_rest_of_a_refused_request_is_not_waited_for(line: RawSocket) -> None:
    """A request that is refused before its body cannot hold its connection open."""
    assert line.ask("POST", AGENT, "Content-Length: 900000").status == 413
    line.send(b"x" * 1000)

    assert line.rest() == b""


def test_each_request_on_a_connection_has_its_own_timeout(tmp_path: Path) -> None:
    """The timeout starts again with each request of a connection."""
    server = start_server(tmp_path, "--request-timeout-seconds", "4")
    with connected(server) as line:
        for _ in range(3):
            line.send(line.request("GET", PING)[:20])
            time.sleep(1.5)
            line.send(line.request("GET", PING)[20:])
            assert line.read().status == 200
    server.stop()


def test_idle_connections_block_no_other_caller(server: LiveServer) -> None:
    """Hundreds of idle connections, silent or halfway through a header, do not block others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4 * FLOOD, hard), hard))
    try:
        with ExitStack() as stack:
            for number in range(FLOOD):
                connection = stack.enter_context(connected(server))
                connection.send(b"GET /api" if number % 2 else b"")
            for _ in range(5):
                assert ask(server, "GET", PING).status == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
