"""Errors of the OTLP endpoints: a ``google.rpc.Status``, in the encoding of the request.

Exporters drop their data unless the status is 429, 502, 503 or 504. Temporary errors, and only
those, therefore have one of these statuses, and ``Retry-After``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToJson
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo
from google.rpc.status_pb2 import Status

PROTOBUF: Final = b"application/x-protobuf"
JSON: Final = b"application/json"
PROTOBUF_NAMES: Final = frozenset({PROTOBUF, b"application/protobuf"})
PATHS: Final = frozenset(
    f"{prefix}/v1/{noun}"
    for prefix in ("", "/api/v1/otlp")
    for noun in ("traces", "logs", "metrics")
)
RETRY_AFTER: Final = 30
"""The default number of seconds until a retry."""

_BAD_REQUEST: Final = 400
_STATUSES: Final = {408: 503, 422: _BAD_REQUEST}
"""The statuses that the specification requires instead of the API's. A request that did not arrive
in time may be sent again, and invalid data is a 400."""
_RETRYABLE: Final = (429, 503)
_CODES: Final = {
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    429: Code.RESOURCE_EXHAUSTED,
    500: Code.INTERNAL,
    503: Code.UNAVAILABLE,
}
_DOMAIN: Final = "prefactor"


def media_type(content_type: bytes) -> bytes:
    """Return a Content-Type without its parameters."""
    return content_type.partition(b";")[0].strip().lower()


def is_protobuf(content_type: bytes) -> bool:
    """Return whether a Content-Type is protobuf."""
    return media_type(content_type) in PROTOBUF_NAMES


def error_status(status: int) -> int:
    """Return the HTTP status of an error of the API at an OTLP endpoint."""
    return _STATUSES.get(status, status)


def must_retry_later(status: int) -> bool:
    """Return whether a response with an HTTP status must have ``Retry-After``."""
    return status in _RETRYABLE


def encoded_error(status: int, body: Mapping[str, Any], content_type: bytes) -> tuple[bytes, bytes]:
    """Return the Content-Type and the body of an error response.

    Args:
        status: its HTTP status.
        body: the error as the API's other endpoints send it.
        content_type: the Content-Type of the request.
    """
    error = Status(code=_CODES.get(status, Code.INVALID_ARGUMENT), message=_text(body["message"]))
    reason = ErrorInfo(reason=str(body["code"]).upper(), domain=_DOMAIN)
    error.details.add().Pack(reason)
    if status == _BAD_REQUEST:
        bad = BadRequest()
        for field, description in _violations(body):
            bad.field_violations.add(field=field, description=_text(description))
        error.details.add().Pack(bad)
    error.details.add().Pack(RequestInfo(request_id=str(body["request_id"])))
    if is_protobuf(content_type):
        return PROTOBUF, error.SerializeToString()
    return JSON, MessageToJson(error, indent=None).encode()


def _violations(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    errors: Mapping[str, Any] = body.get("errors", {})
    if not errors:
        yield "", body["message"]
    for field, error in errors.items():
        yield field, str(error.get("message", "is invalid"))


def _text(text: str) -> str:
    """Replace lone surrogates, which protobuf cannot encode."""
    return text.encode(errors="replace").decode()
