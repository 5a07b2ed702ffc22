"""One line in the log for a request that an operator wants to hear of: never what it said.

A request that failed on the server's side has a line with the reason, written where that is known.
Here are the lines of the others.
"""

from __future__ import annotations

from typing import Final

import structlog

from prefactor_server.api.kernel.request_events import RequestEvent

_FAILURES: Final = 500

_log = structlog.get_logger("prefactor_server")


class RequestLog:
    """Writes a line for a slow request, and, if ``everything`` is wanted, for every other.

    ``slow_seconds`` of 0 calls no request slow.
    """

    def __init__(self, *, everything: bool, slow_seconds: float) -> None:
        self._everything = everything
        self._slow_seconds = slow_seconds

    def answered(self, answered: RequestEvent) -> None:
        """Write a request's line, if it has one."""
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
