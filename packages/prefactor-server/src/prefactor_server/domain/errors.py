"""The refusals of the API, one class per reason a caller can tell apart.

    Refusal
    ├── BadRequest            the request cannot be read
    ├── NotAuthenticated      no token, or one that does not work
    │   └── BadCredentials    … or nothing to sign in with that works
    ├── NotPermitted          a good token without the scope that is needed
    ├── NotFound              nothing of that id in this account
    ├── InvalidAction         the state machine says no
    │   └── RunTerminated     … because somebody stopped the run: its agent has to hear of it
    ├── IdempotencyKeyUsed    the key was used for another request
    ├── ValidationFailed      named fields are missing or wrong
    ├── TooLarge              more bytes than the server takes
    ├── Overloaded            come back later; nothing was done
    ├── Unavailable           the server cannot write now; nothing was done
    │   ├── Contended         … because others kept changing the same things
    │   ├── DatabaseUnusable  … because the database is gone, damaged or read-only
    │   │   └── DatabaseDamaged   … because what it stored cannot be read
    │   └── OutcomeUnknown    … or perhaps it was: the database was lost while it committed
    └── SettingError          the server was started with a setting that cannot be used

A refusal knows its ``code`` (a word of the wire) and nothing of HTTP: the status that belongs to a
code is one table in ``api/errors.py``.
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
    "export_bytes",
    "export_spans",
    "items",
]
FieldCode: TypeAlias = Literal["required_value", "invalid_value", "unexpected_ref_type"]


class FieldError(NamedTuple):
    """Why one field was refused."""

    code: FieldCode
    message: str


FieldErrors: TypeAlias = Mapping[str, "FieldError | FieldErrors"]
"""Field name to its error, nested as the request is nested."""

REQUIRED = FieldError("required_value", "is required")


class Limit(NamedTuple):
    """What a request has too much of, and how much of it is taken."""

    name: LimitName
    maximum: int


class Refusal(Exception):
    """Why a request was not carried out; nothing of it was (but see ``OutcomeUnknown``)."""

    code: ClassVar[str] = "unexpected"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(Refusal):
    """The request cannot be read: its body, its query or its shape."""

    code = "bad_request"


class NotAuthenticated(Refusal):
    """No token came, or none that works."""

    code = "not_authenticated"


class BadToken(NotAuthenticated):
    """A token came that is unknown, suspended, revoked or expired."""

    code = "bad_authtoken"


class BadCredentials(NotAuthenticated):
    """A password, a link or a token to sign in with does not work."""

    code = "bad_credentials"


class NotPermitted(Refusal):
    """The token works, but not for this; the message names the scope that is needed."""

    code = "not_permitted"


class NotFound(Refusal):
    """Nothing of that kind and id exists in the caller's account."""

    code = "not_found"


class InvalidAction(Refusal):
    """The state that something is in does not allow the action."""

    code = "invalid_action"


class RunTerminated(InvalidAction):
    """The run was stopped from outside; ``reason`` is the operator's."""

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
        # Many callers show the message and nothing else: it has to name the field.
        super().__init__(message or _first_error(errors))
        self.errors = errors
        self.limit = limit


class TooLarge(Refusal):
    """The request, or a part of it, is larger than the server takes."""

    code = "bad_request"

    def __init__(self, message: str, limit: Limit) -> None:
        super().__init__(message)
        self.limit = limit


class Overloaded(Refusal):
    """The queue of writes is full; nothing was done, and ``retry_after`` seconds may help."""

    code = "unknown"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Refusal):
    """The server cannot write now (its disk is full, its database is away); nothing was done.

    ``retry_after`` is in seconds, and None where nobody can tell when it will be better.
    """

    code = "unexpected"
    retry_after: ClassVar[int | None] = None


class Contended(Unavailable):
    """Others kept changing what the request is about; nothing was done, and later it may work."""

    retry_after = 1


class DatabaseUnusable(Unavailable):
    """The database is gone, damaged or read-only: an operator has to act before a retry helps."""

    code = "database_unusable"


class DatabaseDamaged(DatabaseUnusable):
    """The database cannot be read as it was written: from now on, this server writes nothing."""


class OutcomeUnknown(Unavailable):
    """The database was lost while it stored the request: it was done, or it was not.

    The one exception to what a refusal promises. Repeating the request with the same idempotency
    key settles it.
    """

    retry_after = 1


class SettingError(Refusal):
    """A setting has a value that cannot be used; the message names it and says what can."""


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
    """One field that has a wrong value, or too much of something."""
    return ValidationFailed({field: FieldError("invalid_value", message)}, limit=limit)


def required(field: str) -> ValidationFailed:
    """One field that has to be there."""
    return ValidationFailed({field: REQUIRED})
