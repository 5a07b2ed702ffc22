"""A webhook receiver on a loopback address, in a thread, that can refuse and delay."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from standardwebhooks import Webhook, WebhookVerificationError

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

    def take(self, event: Event) -> None:
        """Note an event; return when it is to be answered."""
        self.events.append(event)
        if len(self.events) > self.hold_from:
            self.held.set()
            self.released.wait()


@contextmanager
def receiving_events() -> Generator[EventReceiver]:
    """A receiver until the end of the block."""
    receiver = EventReceiver()

    class Handler(BaseHTTPRequestHandler):
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

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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
