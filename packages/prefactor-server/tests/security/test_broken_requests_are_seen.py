"""Requests that never reach the API are counted and logged."""

from pathlib import Path

from api_client import Answer
from front_door import ask
from raw_socket import connected

from live_server import LiveServer, start_server
from prefactor_server.http.connection import MAX_HEAD_BYTES


def test_requests_refused_below_the_api_are_counted(tmp_path: Path) -> None:
    """Half a request, an endless header and random bytes are each counted and logged once."""
    # Two seconds, because one is the limit for a slow request and a timer may be a millisecond
    # early.
    server = start_server(tmp_path, "--request-timeout-seconds", "2", "--log-requests")
    head = f"POST /api/v1/agent HTTP/1.1\r\nAuthorization: Bearer {server.token}\r\n"
    broken = {
        408: [head.encode(), b"Content-Length: 9\r\n\r\n{"],
        431: [b"GET / HTTP/1.1\r\nX: ", *[b"x" * 1000] * (4 * MAX_HEAD_BYTES // 1000)],
        400: [b"\x16\x03\x01 this is not HTTP\r\n\r\n"],
    }
    try:
        answers = {status: _answer(server, pieces) for status, pieces in broken.items()}
        metrics = ask(server, "GET", "/metrics").text
    finally:
        assert server.stop() == 0

    assert {status: answer.status for status, answer in answers.items()} == {s: s for s in broken}
    ids = {status: answer.body["request_id"] for status, answer in answers.items()}
    for status, request_id in ids.items():
        assert f'prefactor_requests_total{{operation="",status="{status}"}} 1.0\n' in metrics
        (logged,) = [row for row in server.output.splitlines() if request_id in row]
        assert str(status) in logged
    assert 'prefactor_refusals_total{code="bad_request"} 3.0\n' in metrics
    (cut_off,) = [row for row in server.output.splitlines() if ids[408] in row]
    assert "POST" in cut_off
    assert "request_slow" in cut_off


def _answer(server: LiveServer, pieces: list[bytes]) -> Answer:
    with connected(server) as line:
        for piece in pieces:
            line.send(piece)
        return line.read()
