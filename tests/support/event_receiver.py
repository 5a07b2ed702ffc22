"""A webhook receiver on a loopback address, in a thread, that can refuse and delay."""

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.request import urlopen

from standardwebhooks import Webhook, WebhookVerificationError

from patience import patience

NETWORKS = ("--webhook-networks", "127.0.0.0/8")
"""The flags of a server that may send to a receiver."""
SECRET_KEY = {"PREFACTOR_SECRET_KEY": "a secret key that only tests have"}
"""The variables of a server that keeps the secrets of webhooks."""


class Event(NamedTuple):
    """One request that came."""

    id: str
    timestamp: str
    signatures: str
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return str(self.document["type"])

    @property
    def run_id(self) -> str:
        return str(self.document["data"]["run"]["id"])

    def is_signed_with(self, secret: str) -> bool:
        """Return whether a Standard Webhooks library accepts the signature and its time."""
        headers = {
            "webhook-id": self.id,
            "webhook-timestamp": self.timestamp,
            "webhook-signature": self.signatures,
        }
        try:
            Webhook(secret).verify(self.body, headers)
        except WebhookVerificationError:
            return False
        return True


@dataclass
class EventReceiver:
    """Keeps requests in order. From ``hold_from`` on, answers wait for ``released``."""

    url: str = ""
    status: int = 204
    hold_from: int = 1_000_000
    events: list[Event] = field(default_factory=list[Event])
    held: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: int = 0
    _waiting: int = 0

    def opened(self, change: int) -> None:
        """Count the requests that have not been answered."""
        with self._lock:
            self._open += change

    def until_read(self) -> None:
        """Return when every request that was sent before this call has come or ended."""
        with urlopen(self.url) as answer:  # noqa: S310 - accepted after those before it
            assert answer.status == HTTPStatus.NO_CONTENT
        deadline = time.monotonic() + patience(30)
        while self._open > self._waiting:
            assert time.monotonic() < deadline, (self._open, self._waiting)
            time.sleep(0.01)

    def take(self, event: Event) -> None:
        """Note an event; return when it is to be answered."""
        with self._lock:
            self.events.append(event)
            holds = len(self.events) > self.hold_from
            self._waiting += holds
        if holds:
            self.held.set()
            self.released.wait()
            with self._lock:
                self._waiting -= 1


@contextmanager
def receiving_events() -> Generator[EventReceiver]:
    """A receiver until the end of the block."""
    receiver = EventReceiver()

    class Server(ThreadingHTTPServer):
        def process_request(self, *request: Any) -> None:
            receiver.opened(1)
            super().process_request(*request)

        def shutdown_request(self, request: Any) -> None:
            super().shutdown_request(request)
            receiver.opened(-1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            named = (self.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
            receiver.take(Event(*named, body))
            try:
                self.send_response(receiver.status)
                self.end_headers()
            except OSError:
                # The server that sent it was killed meanwhile.
                self.close_connection = True

        def log_message(self, *said: object) -> None:
            """Print nothing."""

    http = Server(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{http.server_port}/in"
    try:
        yield receiver
    finally:
        receiver.released.set()
        http.shutdown()
        http.server_close()
        thread.join()
