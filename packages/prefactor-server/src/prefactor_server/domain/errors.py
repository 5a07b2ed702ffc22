"""The errors of the API, one class per reason that a caller can distinguish.

    Refusal
    ├── BadRequest            the request cannot be read
    ├── NotAuthenticated      the token is missing or invalid
    │   ├── BadToken          … because it is unknown, or no longer works
    │   └── BadCredentials    … or wrong credentials for signing in
    ├── NotPermitted          a valid token without the required scope
    ├── NotFound              no such id in this account
    ├── InvalidAction         the status does not allow it
    │   └── RunTerminated     … because the run was terminated, which its agent must learn
    ├── IdempotencyKeyUsed    the key was used for another request
    ├── ValidationFailed      named fields are missing or wrong
    ├── TooLarge              more bytes than the server accepts
    ├── Overloaded            the write queue is full; nothing was done
    ├── Unavailable           the server cannot write now; nothing was done
    │   ├── Contended         … because of concurrent changes to the same rows
    │   ├── DatabaseUnusable  … because the database is missing, damaged or read-only
    │   │   └── DatabaseDamaged   … because stored data cannot be read
    │   └── OutcomeUnknown    … because the connection was lost during the commit
    └── SettingError          the server was started with a setting that cannot be used

A refusal has a ``code`` for the wire, but no HTTP status. The table of statuses is in
``api/kernel/errors.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple, TypeAlias

LimitName: TypeAlias = Literal[
    "request_bytes",
    "payload_bytes",
    "quality_bytes",
    "quality_names",
    "raised_alerts",
    "metadata_keys",
    "page_bytes",
    "export_bytes",
    "export_spans",
    "items",
    "bulk_read_cost",
    "bulk_read_bytes",
]
FieldCode: TypeAlias = Literal["required_value", "invalid_value", "unexpected_ref_type"]


class FieldError(NamedTuple):
    """Why one field was rejected."""

    code: FieldCode
    message: str


FieldErrors: TypeAlias = Mapping[str, "FieldError | FieldErrors"]
"""Field name to its error, nested as the request is nested."""

REQUIRED = FieldError("required_value", "is required")


class Limit(NamedTuple):
    """A limit that a request exceeded: its value and what it counts."""

    name: LimitName
    maximum: int


class Refusal(Exception):
    """The request was not executed and had no effect, with the exception of ``OutcomeUnknown``."""

    code: ClassVar[str] = "unexpected"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(Refusal):
    """The request cannot be read: its body, its query or its shape."""

    code = "bad_request"


class NotAuthenticated(Refusal):
    """The token is missing or invalid."""

    code = "not_authenticated"


class BadToken(NotAuthenticated):
    """The token is unknown, suspended, revoked or expired."""

    code = "bad_authtoken"


class BadCredentials(NotAuthenticated):
    """The password, link or token for signing in is wrong."""

    code = "bad_credentials"


class NotPermitted(Refusal):
    """The token does not allow this. The message names the required scope."""

    code = "not_permitted"


class NotFound(Refusal):
    """The caller's account has no such row, or the caller may not see it."""

    code = "not_found"


class InvalidAction(Refusal):
    """The current status does not allow the action."""

    code = "invalid_action"


class RunTerminated(InvalidAction):
    """The run was terminated; ``reason`` is the operator's."""

    def __init__(self, message: str, reason: str | None) -> None:
        super().__init__(message)
        self.reason = reason


class IdempotencyKeyUsed(Refusal):
    """The idempotency key belongs to another request of the same operation."""

    code = "idempotency_key_already_used"


class ValidationFailed(Refusal):
    """Named fields of the request are missing or wrong."""

    code = "validation_errors"

    def __init__(
        self, errors: FieldErrors, message: str | None = None, *, limit: Limit | None = None
    ) -> None:
        # Many callers show only the message, so it names the first field.
        super().__init__(message or _first_error(errors))
        self.errors = errors
        self.limit = limit


class TooLarge(Refusal):
    """The request, or a part of it, is larger than the server accepts."""

    code = "bad_request"

    def __init__(self, message: str, limit: Limit) -> None:
        super().__init__(message)
        self.limit = limit


class Overloaded(Refusal):
    """The write queue is full. Nothing was done; retry after ``retry_after`` seconds."""

    code = "unknown"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Refusal):
    """The server cannot write now (disk full, database unreachable). Nothing was done.

    ``retry_after`` is in seconds, or None if the duration is unknown.
    """

    code = "unexpected"
    retry_after: ClassVar[int | None] = None


class Contended(Unavailable):
    """Concurrent requests kept changing the same rows. Nothing was done; a retry may succeed."""

    retry_after = 1


class DatabaseUnusable(Unavailable):
    """The database is missing, damaged or read-only. An operator must act before a retry."""

    code = "database_unusable"


class DatabaseDamaged(DatabaseUnusable):
    """The database is damaged. This server no longer writes to it."""


class OutcomeUnknown(Unavailable):
    """The database was lost during the commit, so the outcome is unknown.

    The only refusal after which the request may have taken effect. Repeating it with the same
    idempotency key is safe.
    """

    retry_after = 1


class SettingError(Refusal):
    """The value of a setting is invalid. The message names the setting and the valid values."""


def _first_error(errors: FieldErrors) -> str:
    path: list[str] = []
    error: FieldErrors | FieldError = errors
    while not isinstance(error, FieldError):
        if not error:
            return "Validation failed"
        name, error = next(iter(error.items()))
        path.append(name)
    return f"Validation failed: {'.'.join(path)} {error.message}"


def invalid(field: str, message: str, limit: Limit | None = None) -> ValidationFailed:
    """Return the error for one field whose value is invalid or exceeds a limit."""
    return ValidationFailed({field: FieldError("invalid_value", message)}, limit=limit)


def required(field: str) -> ValidationFailed:
    """Return the error for one missing field."""
    return ValidationFailed({field: REQUIRED})
