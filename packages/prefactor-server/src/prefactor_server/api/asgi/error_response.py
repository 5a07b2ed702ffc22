"""The response to a failed request: its status, headers and body."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
import structlog
from starlette.types import Scope

from prefactor_server.api.kernel.errors import error_body, error_headers, status_of
from prefactor_server.api.kernel.operation import Encoded, Operation, RawOperation, WireError
from prefactor_server.domain.errors import Refusal
from prefactor_server.json_log import trace_of

_SERVER_ERROR: Final = 500
_UNEXPECTED: Final = "unexpected"

_encoder: Final = msgspec.json.Encoder()
_log = structlog.get_logger(__name__)


class ErrorResponse(NamedTuple):
    """An encoded error. ``code`` is the API's, for the log and the metrics."""

    status: int
    headers: list[tuple[bytes, bytes]]
    code: str
    encoded: Encoded


def error_response(
    error: Exception, request_id: str, scope: Scope, operation: Operation | None
) -> ErrorResponse:
    """Return the response to a failed request, and log server errors.

    It has the form of the operation's errors, or the API's if the request matched no operation.
    """
    if isinstance(error, Refusal):
        code = error.code
        failed = WireError(status_of(type(error)), error_body(error), error_headers(error))
        if failed.status >= _SERVER_ERROR:
            _log.warning(
                "request_refused",
                request_id=request_id,
                method=scope["method"],
                status=failed.status,
                reason=error.message,
            )
    else:
        code = _UNEXPECTED
        failed = WireError(_SERVER_ERROR, _unexpected(), [])
        _log.error(
            "request_failed",
            request_id=request_id,
            method=scope["method"],
            status=_SERVER_ERROR,
            trace=trace_of(error),
        )
    failed.body["request_id"] = request_id
    if isinstance(operation, RawOperation) and operation.encode_error is not None:
        failed, encoded = operation.encode_error(failed, _content_type(scope))
    else:
        encoded = Encoded(b"application/json", _encoder.encode(failed.body))
    return ErrorResponse(failed.status, failed.headers, code, encoded)


def _unexpected() -> dict[str, Any]:
    return {
        "status": "error",
        "code": _UNEXPECTED,
        "message": "The server failed. Its log has the details, under this request_id",
    }


def _content_type(scope: Scope) -> bytes:
    found: bytes = dict(scope["headers"]).get(b"content-type", b"")
    return found
