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

    def answered(self, answered: RequestEvent) -> None:
        """Log a request if it qualifies."""
        if answered.status >= _FAILURES:
            return
        if self._slow_seconds and answered.seconds >= self._slow_seconds:
            _log.warning("request_slow", **_fields(answered))
        elif self._everything:
            _log.info("request", **_fields(answered))


def _fields(answered: RequestEvent) -> dict[str, object]:
    fields: dict[str, object] = {
        "request_id": answered.request_id,
        "method": answered.method,
        "operation": answered.operation,
        "status": answered.status,
        "milliseconds": round(answered.seconds * 1000, 1),
    }
    if answered.code:
        fields["code"] = answered.code
    return fields
