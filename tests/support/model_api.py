"""A local fake of a vendor's API that gives a test's answers in order."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Answer:
    """One answer of the API."""

    body: Any = None
    """JSON; or, as a list, the events of a stream."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Whether the connection breaks after the last event."""
    gate: threading.Event | None = None
    """The test sets it to have the last event sent."""


@dataclass
class Request:
    """One request that the API received."""

    path: str
    headers: dict[str, str]
    body: Any


class ModelApi:
    """The API: its address, received requests, and next answers."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: deque[Answer] = deque()
        self.url = ""

    def answer(self, body: Any, **rest: Any) -> Answer:
        """Have the next unanswered request answered like this."""
        given = Answer(body, **rest)
        self.answers.append(given)
        return given


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: ModelApi

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that disconnects, because some tests are about that."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        api = self.server.api
        api.requests.append(Request(self.path, dict(self.headers), json.loads(body)))
        answer = api.answers.popleft()
        self.send_response(answer.status)
        self.send_header("x-request-id", f"req-{len(api.requests)}")
        self.send_header("request-id", f"req-{len(api.requests)}")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer.body, list):
            self._stream(answer)
        else:
            self._send(json.dumps(answer.body).encode())

    def _send(self, content: bytes) -> None:
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, answer: Answer) -> None:
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(answer.body, 1):
            if answer.gate is not None and number == len(answer.body):
                answer.gate.wait(30)
            self._chunk(framed(event))
        if answer.cut:
            self.close_connection = True
        else:
            self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def framed(event: Any) -> bytes:
    """Return an event in wire format; a text is its data, an object may name its type."""
    if isinstance(event, str):
        return f"data: {event}\n\n".encode()
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


@contextmanager
def serving() -> Iterator[ModelApi]:
    """An API for as long as the block lasts."""
    api = ModelApi()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.api = api
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield api
    finally:
        for answer in api.answers:
            if answer.gate is not None:
                answer.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def model_api() -> Iterator[ModelApi]:
    """A fake vendor API whose answers the test writes."""
    with serving() as api:
        yield api
