"""Over the connection limit, open connections continue and probes are answered."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from front_door import ask
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from raw_socket import PATIENCE, RawSocket, connected

from live_server import LiveServer, start_server
from patience import patience
from prefactor_server.http.connection_limit import RESERVED_CONNECTIONS

MOST = 4
PING = "/api/v1/ping"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with a low connection limit."""
    server = start_server(tmp_path_factory.mktemp("small"), "--max-connections", str(MOST))
    yield server
    assert server.stop() == 0, server.output
    assert "Traceback" not in server.output


@pytest.fixture
def held(small: LiveServer) -> Iterator[list[RawSocket]]:
    """The maximum number of connections, each already answered."""
    _until_free(small)
    with ExitStack() as stack:
        lines = [stack.enter_context(connected(small)) for _ in range(MOST)]
        for line in lines:
            assert line.ask("GET", PING).status == 200
        yield lines


def _until_free(server: LiveServer) -> None:
    """Wait until the server has noticed that earlier connections are gone."""
    until = time.monotonic() + patience(PATIENCE)
    while ask(server, "GET", PING).status != 200:
        assert time.monotonic() < until


@pytest.mark.parametrize("body", [b"", b'{"items": []}', b"x" * 300_000])
def test_a_connection_over_the_limit_gets_a_retry_after(
    small: LiveServer, held: list[RawSocket], body: bytes
) -> None:
    """A connection over the limit is answered 503 with Retry-After, and closed."""
    with connected(small) as line:
        answer = line.ask("POST", "/api/v1/bulk", body=body)

        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["connection"] == "close"
        assert answer.body["request_id"] == answer.headers["x-request-id"]
        assert set(answer.body) == {"status", "code", "message", "request_id"}
        assert line.rest() == b""
    assert [line.ask("GET", PING).status for line in held] == [200] * MOST


def test_an_exporter_over_the_limit_gets_an_otlp_error(
    small: LiveServer, held: list[RawSocket]
) -> None:
    """Over the connection limit, OTLP in protobuf is answered with a Status in protobuf."""
    with connected(small) as line:
        kind = "Content-Type: application/x-protobuf"
        answer = line.ask("POST", "/v1/traces", kind, body=b"\n\0")

        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert Status.FromString(answer.content).code == Code.UNAVAILABLE
    assert len(held) == MOST


@pytest.mark.parametrize("page", ["/healthz", "/readyz", "/metrics"])
def test_probes_are_answered_beyond_the_bound(
    small: LiveServer, held: list[RawSocket], page: str
) -> None:
    """A full server answers probes and says that it is full."""
    for _ in range(3):
        with connected(small) as line:
            answer = line.ask("GET", page)

            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert line.rest() == b""
    if page == "/metrics":
        assert f"prefactor_connections {MOST + 1:.1f}" in answer.text
    assert len(held) == MOST


def test_a_closed_connection_makes_room(small: LiveServer, held: list[RawSocket]) -> None:
    """A connection that closes makes room for a new one."""
    assert ask(small, "GET", PING).status == 503
    held[0].close()

    _until_free(small)


def test_a_flood_is_refused_on_arrival(small: LiveServer, held: list[RawSocket]) -> None:
    """Beyond the slots for probes, a connection is refused before it sends anything."""
    with ExitStack() as stack:
        for _ in range(RESERVED_CONNECTIONS):
            stack.enter_context(connected(small))
        line = stack.enter_context(connected(small))

        answer = line.read()

        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert line.rest() == b""
        assert [one.ask("GET", PING).status for one in held] == [200] * MOST


def test_refused_connections_are_counted_and_logged(
    small: LiveServer, held: list[RawSocket]
) -> None:
    """The metrics count every refusal, and the log has one line a minute for all of them."""
    before, lines = _refused(held[0]), small.output.count("connections_full")
    for _ in range(5):
        assert ask(small, "GET", PING).status == 503

    assert _refused(held[0]) == before + 5
    # Earlier tests of this module may have caused the line of this minute.
    assert max(lines, 1) <= small.output.count("connections_full") <= lines + 1


def _refused(line: RawSocket) -> float:
    text = line.ask("GET", "/metrics").text
    name = 'prefactor_requests_total{operation="",status="503"} '
    return float(next(row for row in text.splitlines() if row.startswith(name)).rpartition(" ")[2])
