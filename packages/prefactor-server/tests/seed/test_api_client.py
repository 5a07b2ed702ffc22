"""The seed's API client, against a server with scripted responses."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from certificates import self_signed, server_context
from prefactor_server.domain.errors import Refusal, SettingError, Unavailable
from prefactor_server.seed.api_client import ApiAddress, ApiClient

ANSWERS: list[tuple[int, bytes]] = []
ASKED: list[tuple[str, str, bytes]] = []


class Handler(BaseHTTPRequestHandler):
    """Answers with the next scripted response and records each request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        ASKED.append((self.command, self.path, body))
        status, answer = ANSWERS.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def waits() -> list[float]:
    """How long the client waited between attempts."""
    return []


@pytest.fixture
def notices() -> list[str]:
    """What the client said about its waiting."""
    return []


@pytest.fixture
def client(waits: list[float], notices: list[str]) -> Iterator[ApiClient]:
    """A client of a server whose API is under a prefix."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    ANSWERS.clear()
    ASKED.clear()
    made = ApiClient(
        ApiAddress(f"http://127.0.0.1:{server.server_port}/prefix/", "secret"),
        tell=notices.append,
        sleep=waits.append,
    )
    yield made
    made.close()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_busy_server_is_retried(
    client: ApiClient, waits: list[float], notices: list[str]
) -> None:
    """429 and 503 are waited out, longer each time, and said once; the request is unchanged."""
    ANSWERS.extend([(429, b"{}"), (503, b"{}"), (200, b'{"outputs": {}}')])

    assert client.post("/api/v1/bulk", {"items": []}) == {"outputs": {}}
    assert ASKED == [("POST", "/prefix/api/v1/bulk", b'{"items":[]}')] * 3
    assert waits == sorted(waits)
    assert len(waits) == 2
    assert notices == ["The server is busy: 429: trying again for about a minute"]


def test_a_server_that_stays_busy_is_given_up(client: ApiClient) -> None:
    """After a few attempts the error quotes the server's last response."""
    ANSWERS.extend([(503, b'{"message": "disk full"}')] * 8)

    with pytest.raises(Unavailable, match="disk full"):
        client.get("/api/v1/ping")


def test_a_missing_object_reads_as_none(client: ApiClient) -> None:
    """Reading something that does not exist returns None."""
    ANSWERS.append((404, b"{}"))

    assert client.get("/api/v1/agent/x") is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"message": "wrong", "errors": {"name": {"code": "required_value"}}}, "required_value"),
        ({"message": "no token came"}, "no token came"),
    ],
)
def test_a_refusal_is_reported(client: ApiClient, answer: object, words: str) -> None:
    """The error names the request, the status and the server's message."""
    ANSWERS.append((422, json.dumps(answer).encode()))

    with pytest.raises(Refusal, match=f"POST /api/v1/agent: 422.*{words}"):
        client.post("/api/v1/agent", {})


def test_another_kind_of_server_is_recognised(client: ApiClient) -> None:
    """A response that is not JSON gives an error that suggests to check the address."""
    ANSWERS.append((403, b"<html>"))

    with pytest.raises(Refusal, match="is the address of the API"):
        client.get("/api/v1/ping")


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("localhost:8585", "secret", "must be an http or https URL"),
        ("http://a/?b=c", "secret", "must not have a query"),
        ("http://u:p@a/", "secret", "user name"),
        ("http://a:99999/", "secret", "--url"),
        ("http://a/", "", "PREFACTOR_API_TOKEN"),
        ("http://a/", "line\nbreak", "PREFACTOR_API_TOKEN"),
    ],
)
def test_addresses_are_checked(url: str, token: str, words: str) -> None:
    """An invalid address or token is refused before anything is sent."""
    with pytest.raises(SettingError, match=words):
        ApiAddress(url, token)


def closed_url() -> str:
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_a_server_that_was_never_there_is_not_waited_for(waits: list[float]) -> None:
    """The first request fails at once, and names the address, the reason and what to check."""
    url = closed_url()
    client = ApiClient(ApiAddress(url, "secret"), sleep=waits.append)

    with pytest.raises(Unavailable) as refused:
        client.ping()
    assert str(refused.value) == (
        f"Cannot reach {url}: Connection refused. Check --url, and that the server runs."
    )
    assert waits == []


def test_a_server_that_has_gone_is_waited_for(waits: list[float], notices: list[str]) -> None:
    """Later requests are tried again for a minute, which is said when the waiting begins."""
    url = closed_url()
    client = ApiClient(ApiAddress(url, "secret"), tell=notices.append, sleep=waits.append)

    with pytest.raises(Unavailable, match="gave up after 8 attempts"):
        client.get("/api/v1/agent/x")
    assert notices == [f"Cannot reach {url}: Connection refused: trying again for about a minute"]
    assert len(waits) == 7


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_wrong_scheme_or_certificate_is_named(
    tmp_path: Path, waits: list[float], scheme: str
) -> None:
    """TLS against a server without it names the scheme, and a refused certificate the reason."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if scheme == "https":
        context = server_context(self_signed(tmp_path / "certificate.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = ApiClient(
        ApiAddress(f"https://127.0.0.1:{server.server_port}", "secret"), sleep=waits.append
    )
    expected = "begins with http://" if scheme == "http" else "certificate is not trusted"
    try:
        with pytest.raises(Unavailable, match=expected):
            client.ping()
    finally:
        client.close()
        server.shutdown()
        server.server_close()
    assert waits == []


def test_a_wrong_path_is_a_refusal(client: ApiClient) -> None:
    """A 404 to the first request is an error, not a missing object."""
    ANSWERS.append((404, b'{"message": "There is nothing at GET /prefix/api/v1/ping"}'))

    with pytest.raises(Refusal, match="404 There is nothing at"):
        client.ping()
