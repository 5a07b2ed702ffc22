"""A server whose certificate is refused."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from certificates import self_signed, server_context
from patience import patience
from recorded import RecordedRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prefactor_recorder.delivery import Delivery

    from .conftest import InspectableJournal


def test_a_refused_certificate_pauses_delivery(
    tmp_path: Path, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Records are kept, a flush does not wait, and the reason says what to do."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = server_context(self_signed(tmp_path / "certificate.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        records = RecordedRun(journal)
        records.begin()
        delivery = deliver(api_url=f"https://127.0.0.1:{server.server_port}")
        left = delivery.flush(patience(30))
    finally:
        server.shutdown()
        server.server_close()

    assert left > 0
    assert delivery.stats.paused is not None
    assert "SSL_CERT_FILE" in delivery.stats.paused
    assert journal.dead == []
