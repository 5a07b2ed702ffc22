"""Log lines about requests. They never contain the content of a request.

Server errors are logged with their reason where they occur. This module logs the other requests.
"""

from __future__ import annotations

from typing import Final

import structlog

from prefactor_server.api.asgi.request_events import RequestEvent

_FAILURES: Final = 500

_log = structlog.get_logger("prefactor_server")


class RequestLog:
    """Logs slow requests, and all others if ``everything`` is set.

    With ``slow_seconds`` of 0, no request counts as slow.
    """

    def __init__(self, *, everything: bool, slow_seconds: float) -> None:
        self._everything = everything
        self._slow_seconds = slow_seconds

    def answered(self, event: RequestEvent) -> None:
        """Log a request if it qualifies."""
        if event.status >= _FAILURES:
            return
        if self._slow_seconds and event.seconds >= self._slow_seconds:
            _log.warning("request_slow", **_fields(event))
        elif self._everything:
            _log.info("request", **_fields(event))


def _fields(event: RequestEvent) -> dict[str, object]:
    fields: dict[str, object] = {
        "request_id": event.request_id,
        "method": event.method,
        "operation": event.operation,
        "status": event.status,
        "milliseconds": round(event.seconds * 1000, 1),
    }
    if event.code:
        fields["code"] = event.code
    return fields
