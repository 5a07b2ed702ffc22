"""Requests that a parser takes for the end of HTTP: the server reads their bodies as bodies."""

import json
from itertools import count

import pytest
from front_door import ask, register
from raw_socket import RawSocket, connected

from live_server import LiveServer

PING = "/api/v1/ping"
AGENT = "/api/v1/agent"
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")
WISHES = (
    H2C,
    ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
    ("Upgrade: h2c", "Upgrade: websocket", "connection: keep-alive, UPGRADE"),
    ("Connection: Upgrade", "UPGRADE: TLS/1.0, HTTP/2.0"),
    ("Proxy-Connection: upgrade", "Upgrade: h2c"),
    ("Connection: Upgrade", "Upgrade:"),
)


_numbers = count()


@pytest.fixture
def span(server: LiveServer) -> str:
    """The id of a span that is open; a new one for each test."""
    run = f"run-{next(_numbers)}"
    register(server, run)
    fields = {"agent_instance_id": run, "schema_name": "step", "id": f"span-of-{run}"}
    created = ask(server, "POST", "/api/v1/agent_spans", {"details": fields})
    assert created.status == 200, created.text
    return fields["id"]


def _agents(server: LiveServer) -> set[str]:
    page = ask(server, "GET", f"{AGENT}?pagination[page_size]=100").body
    return {agent["name"] for agent in page["summaries"]}


def _chunked(body: bytes) -> bytes:
    return b"".join(b"1\r\n%c\r\n" % one for one in body) + b"0\r\n\r\n"


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish[0][:12])
@pytest.mark.parametrize("sent", [(f, p) for f in ("length", "chunks") for p in (1, 2, 999)])
def test_an_upgrade_is_ignored(
    server: LiveServer,
    line: RawSocket,
    span: str,
    wish: tuple[str, ...],
    sent: tuple[str, int],
) -> None:
    """Upgrade is ignored: the body is read and stored, and the connection stays HTTP."""
    framing, packets = sent
    body = json.dumps({"status": "failed", "result_payload": {"a": 1}}).encode()
    path = f"/api/v1/agent_spans/{span}/finish"
    if framing == "length":
        request = line.request("POST", path, *wish, body=body)
    else:
        request = line.request("POST", path, *wish, "Transfer-Encoding: chunked") + _chunked(body)
    head = request.index(b"\r\n\r\n") + 4
    ends = {1: [len(request)], 2: [head, len(request)], 999: range(1, len(request) + 1)}
    start = 0
    for end in ends[packets]:
        line.send(request[start:end])
        start = end
    answer = line.read()

    assert answer.status == 200, answer.text
    assert "upgrade" not in answer.headers
    shown = ask(server, "GET", f"/api/v1/agent_spans/{span}").body["details"]
    assert (shown["status"], shown["result_payload"]) == ("failed", {"a": 1})
    assert line.ask("GET", PING).status == 200


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish[0][:12])
def test_a_request_in_the_body_of_an_upgrade_is_ignored(
    server: LiveServer, line: RawSocket, wish: tuple[str, ...]
) -> None:
    """A request inside the body of an upgrade stays a body, even in a separate packet."""
    hidden = line.request("POST", AGENT, body=b'{"details":{"name":"smuggled"}}')
    for at_once in (True, False):
        head = line.request("POST", AGENT, *wish, f"Content-Length: {len(hidden)}")
        for piece in [head + hidden] if at_once else [head, hidden]:
            line.send(piece)
        assert line.read().status == 400
        assert line.ask("GET", PING).status == 200

    assert "smuggled" not in _agents(server)


def test_upgrades_in_a_pipeline_are_answered_in_order(server: LiveServer, line: RawSocket) -> None:
    """Requests before, between and after upgrades get their own answers."""
    names = [f"piped-{number}" for number in range(6)]
    bodies = [json.dumps({"details": {"name": name}}).encode() for name in names]
    line.send(
        b"".join(
            line.request("POST", AGENT, *(H2C if number % 2 else ()), body=body)
            for number, body in enumerate(bodies)
        )
    )
    answers = [line.read() for _ in names]

    assert [answer.body["details"]["name"] for answer in answers] == names
    assert line.ask("GET", PING, *H2C).status == 200
    assert set(names) <= _agents(server)


@pytest.mark.parametrize("target", ["example.org:443", "/api/v1/agent", "*"])
@pytest.mark.parametrize("before", ["nothing", "an answer", "a question"])
def test_connect_opens_no_tunnel(server: LiveServer, target: str, before: str) -> None:
    """CONNECT gets an error after earlier answers, and nothing after it is read."""
    with connected(server) as line:
        hidden = line.request("POST", AGENT, body=b'{"details":{"name":"tunnelled"}}')
        if before == "an answer":
            assert line.ask("GET", PING).status == 200
        first = line.request("GET", PING) if before == "a question" else b""
        line.send(first + f"CONNECT {target} HTTP/1.1\r\nHost: here\r\n\r\n".encode() + hidden)
        if before == "a question":
            assert line.read().status == 200
        answer = line.read()

        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert answer.body["request_id"] == answer.headers["x-request-id"]
        assert line.rest() == b""
    assert "tunnelled" not in _agents(server)


@pytest.mark.parametrize(
    "last",
    [
        ("HTTP/1.0", ()),
        ("HTTP/1.0", ("Connection: keep-alive",)),
        ("HTTP/1.1", ("Connection: close",)),
        ("HTTP/1.1", ("Connection: close, Upgrade", "Upgrade: h2c")),
        ("HTTP/1.1", ("Connection: keep-alive", "Connection: close")),
        ("HTTP/1.0", ("Transfer-Encoding: chunked",)),
    ],
    ids=["1.0", "1.0 kept", "close", "close and upgrade", "both", "1.0 chunked"],
)
def test_nothing_after_the_last_request_is_read(
    server: LiveServer, line: RawSocket, last: tuple[str, tuple[str, ...]]
) -> None:
    """The answer says that it is the last, and bytes after its request are ignored."""
    version, headers = last
    chunked = "Transfer-Encoding: chunked" in headers
    request = line.request("GET", PING, *headers).replace(b"HTTP/1.1", version.encode())
    hidden = line.request("POST", AGENT, body=b'{"details":{"name":"afterwards"}}')
    line.send(request + (b"0\r\n\r\n" if chunked else b"") + hidden)
    answer = line.read()

    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert line.rest() == b""
    assert "afterwards" not in _agents(server)


@pytest.mark.parametrize(
    "broken", [b"\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET a b c\r\n\r\n"]
)
def test_a_request_before_noise_is_answered(line: RawSocket, broken: bytes) -> None:
    """A request before invalid bytes is answered first, and the error follows."""
    requests = [line.request("POST", AGENT, body=b'{"details":{"name":"%d"}}' % n) for n in (1, 2)]
    line.send(b"".join(requests) + broken)

    assert [line.read().status for _ in range(3)] == [200, 200, 400]
    assert line.rest() == b""


def test_a_thousand_requests_at_once_are_answered_in_turn(
    server: LiveServer, line: RawSocket
) -> None:
    """However many requests arrive at once, each is answered, and other clients are served."""
    number = 3000
    line.send(line.request("GET", PING, "X: y") * number)
    assert ask(server, "GET", PING).status == 200

    assert {line.read().status for _ in range(number)} == {200}
    assert line.ask("GET", PING).status == 200
