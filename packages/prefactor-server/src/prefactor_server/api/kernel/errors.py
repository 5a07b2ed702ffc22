"""The HTTP status and body of errors.

    {"status": "error", "code": "...", "message": "...", "errors": {...}, "request_id": "..."}

``errors`` is present for invalid fields only. It is nested like the request, and each leaf has
``status``, ``code`` and ``message``. ``limit`` and ``limit_of`` are present if a limit was
exceeded: its value and what it counts. ``control`` is present if the run was terminated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from prefactor_server.domain.errors import (
    BadRequest,
    FieldError,
    FieldErrors,
    IdempotencyKeyUsed,
    InvalidAction,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    Overloaded,
    Refusal,
    RunTerminated,
    TooLarge,
    Unavailable,
    ValidationFailed,
)


class MethodNotAllowed(BadRequest):
    """The path exists, with other methods."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not allowed here: use {' or '.join(allowed)}")
        self.allowed = allowed


class UnsupportedEncoding(BadRequest):
    """The body's encoding is not supported. Accept-Encoding lists the supported ones."""


class UnsupportedMediaType(BadRequest):
    """The body's Content-Type is not supported. Accept lists the supported ones."""

    def __init__(self, content_type: bytes, supported: tuple[bytes, ...]) -> None:
        names = " or ".join(one.decode() for one in supported)
        super().__init__(
            f"Content-Type must be {names}, got {content_type.decode('latin-1')[:60]!r}"
        )
        self.supported = supported


class NotImplementedHere(Refusal):
    """The request asks for something that this server does not have."""

    code = "not_implemented"


UNSUPPORTED_ENCODING: Final = 415
"""The status of ``UnsupportedEncoding`` and ``UnsupportedMediaType``."""

STATUSES: Final[Mapping[type[Refusal], int]] = {
    BadRequest: 400,
    NotAuthenticated: 401,
    NotPermitted: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    InvalidAction: 409,
    IdempotencyKeyUsed: 409,
    TooLarge: 413,
    UnsupportedEncoding: UNSUPPORTED_ENCODING,
    UnsupportedMediaType: UNSUPPORTED_ENCODING,
    ValidationFailed: 422,
    Overloaded: 429,
    Refusal: 500,
    NotImplementedHere: 501,
    Unavailable: 503,
}
"""The HTTP status of each refusal. A class that is not listed has the status of its base."""


def status_of(kind: type[Refusal]) -> int:
    """Return the HTTP status of a class of refusals."""
    return next(STATUSES[base] for base in kind.__mro__ if base in STATUSES)


def error_body(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal as JSON, without the request id."""
    body: dict[str, Any] = {
        "status": "error",
        "code": refusal.code,
        "message": refusal.message,
    }
    if isinstance(refusal, ValidationFailed):
        body["errors"] = _field_errors(refusal.errors)
    if isinstance(refusal, RunTerminated):
        body["control"] = {"terminate": True, "reason": refusal.reason}
    if isinstance(refusal, TooLarge | ValidationFailed) and refusal.limit is not None:
        body["limit"] = refusal.limit.maximum
        body["limit_of"] = refusal.limit.name
    return body


def error_headers(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """Return the response headers of a refusal, such as Retry-After."""
    if isinstance(refusal, Overloaded):
        return [(b"retry-after", b"%d" % refusal.retry_after)]
    if isinstance(refusal, Unavailable) and refusal.retry_after is not None:
        return [(b"retry-after", b"%d" % refusal.retry_after)]
    if isinstance(refusal, NotAuthenticated):
        return [(b"www-authenticate", b"Bearer")]
    if isinstance(refusal, MethodNotAllowed):
        return [(b"allow", ", ".join(refusal.allowed).encode())]
    if isinstance(refusal, UnsupportedMediaType):
        return [(b"accept", b", ".join(refusal.supported))]
    return []


def nest_errors(parent: str, refusal: Refusal) -> Refusal:
    """Return a refusal with its field errors nested under ``parent``, or any other as it is."""
    if isinstance(refusal, ValidationFailed):
        return ValidationFailed({parent: refusal.errors}, limit=refusal.limit)
    return refusal


def _field_errors(errors: FieldErrors) -> dict[str, Any]:
    return {
        field: (
            {"status": "error", "code": error.code, "message": error.message}
            if isinstance(error, FieldError)
            else _field_errors(error)
        )
        for field, error in errors.items()
    }
