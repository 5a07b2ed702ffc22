"""The exceptions of this package, in one tree, so that callers choose how broadly to catch.

    PrefactorHttpError                      everything this package raises for a failed request
    ├── PrefactorApiError                   the server responded with a status >= 400
    │   ├── PrefactorAuthError              401, 403: the token is invalid or not allowed to do this
    │   ├── PrefactorNotFoundError          404
    │   ├── PrefactorValidationError        400, 422; `errors` says which fields
    │   ├── PrefactorConflictError          409: wrong state, or a key used for something else
    │   ├── PrefactorRateLimitError         429; `retry_after` says how long to wait
    │   └── PrefactorRedirectError          3xx: the API is at another address; never followed
    ├── PrefactorNetworkError               no usable response; also an aiohttp or asyncio error
    │   └── PrefactorTimeoutError           … because of a timeout; also a `TimeoutError`
    ├── PrefactorRetryExhaustedError        all retries failed; `last_error` is the last failure
    ├── PrefactorResponseContractError      a response that violates the API's contract
    │   └── PrefactorResponseTooLargeError  a response with more bytes than `max_response_bytes`
    └── PrefactorClientError                the client was used incorrectly
        └── PrefactorRequestError           the request is invalid; a `ValueError`

Invalid arguments of typed methods raise `PrefactorRequestError` before any request. If a model
rejected them, it is also pydantic's `ValidationError`. All classes can be pickled with their
attributes, and their texts never contain the token.
"""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import aiohttp

RATE_LIMITED = 429
SERVER_ERROR = 500
_TEMPORARY = frozenset({408, RATE_LIMITED})


class PrefactorHttpError(Exception):
    """Base class of all errors of this package; `str(error)` is exactly `message`."""

    message: str
    """What happened, in words."""
    attempts: int | None = None
    """HTTP attempts of the call; None if nothing was sent, or unknown."""
    request_id: str | None = None
    """The server's id of the request, from the error body or the `X-Request-Id` header."""
    retry_after: float | None = None
    """Seconds that the server asked to wait, if it did."""
    should_retry: bool | None = None
    """Whether the server advises to retry (`x-should-retry`); None if it does not say."""

    def __init__(self, *args: Any) -> None:
        """Store the first argument as `message`."""
        # Not super(), because the next class in the MRO of a joined class is a foreign one whose
        # constructor has other parameters.
        Exception.__init__(self, *args)
        self.message = str(args[0]) if args else ""

    def __str__(self) -> str:
        """Return the message, even if a joined foreign class overrides `__str__`."""
        return self.message

    def __repr__(self) -> str:
        """Return class and message only."""
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without calling the constructor, whose arguments differ from `args`."""
        return _restore, (_parts_of(type(self)), self.args, _picklable_state(self))


class PrefactorApiError(PrefactorHttpError):
    """The server responded with an error status.

    Attributes:
        code: The error code of the API, such as `invalid_action`; `unknown` without one.
        status_code: The HTTP status.
    """

    limit: int | None = None
    """The server's limit that the request exceeded, if any."""
    limit_of: str | None = None
    """What the limit counts, such as `items` or `request_bytes`."""

    def __init__(self, message: str, code: str, status_code: int) -> None:
        """Create an error from the members of every error response."""
        super().__init__(message)
        self.code = code
        self.status_code = status_code


class PrefactorAuthError(PrefactorApiError):
    """The token is missing, invalid or expired (401), or not allowed to do this (403)."""


class PrefactorNotFoundError(PrefactorApiError):
    """The object does not exist, or the token may not see it (404)."""


class PrefactorValidationError(PrefactorApiError):
    """The server rejected the content of the request (400, 422).

    Attributes:
        errors: The errors by field; values are lists of messages or nested error objects.
    """

    def __init__(self, message: str, code: str, status_code: int, errors: dict[str, Any]) -> None:
        """Create an error from an error response and its errors by field."""
        super().__init__(message, code, status_code)
        self.errors = errors


class PrefactorConflictError(PrefactorApiError):
    """The state does not allow this, or the idempotency key belongs to another request (409)."""


class PrefactorRateLimitError(PrefactorApiError):
    """Too many requests (429)."""


class PrefactorRedirectError(PrefactorApiError):
    """The server redirected the request (3xx), which the client never follows.

    Following it would send the token and the payload to another address, or turn a write into a
    read that reports success.

    Attributes:
        target: The target, without userinfo and query; None if the server did not say.
    """

    def __init__(self, message: str, code: str, status_code: int, target: str | None) -> None:
        """Create an error from an error response and the target."""
        super().__init__(message, code, status_code)
        self.target = target


class PrefactorNetworkError(PrefactorHttpError):
    """No usable response arrived.

    A raised instance is also an instance of the original aiohttp or asyncio class, so
    `except aiohttp.ClientConnectorError` and `except asyncio.TimeoutError` catch it as well. The
    original is its `__cause__`.

    Attributes:
        may_have_been_processed: False if the request was not sent, so that sending it again is
            always safe; True if the server may have processed it.
    """

    may_have_been_processed: bool = True


class PrefactorTimeoutError(PrefactorNetworkError, asyncio.TimeoutError):
    """The attempt, the connection or the deadline of the call timed out."""


class PrefactorRetryExhaustedError(PrefactorHttpError):
    """All retries failed.

    Attributes:
        last_error: The failure of the last attempt.
    """

    def __init__(self, message: str, last_error: Exception | None = None) -> None:
        """Store the last failure, and its details about the request."""
        super().__init__(message)
        self.last_error = last_error
        if isinstance(last_error, PrefactorHttpError):
            self.request_id = last_error.request_id
            self.retry_after = last_error.retry_after


class PrefactorResponseContractError(PrefactorHttpError):
    """The body of a response is not the JSON that the API promises.

    Attributes:
        status_code: The HTTP status; None if a well-formed response did not fit its model.
        body_snippet: The beginning of the body, white space collapsed; None if it is empty.
        cause: The decoding or validation error.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        body_snippet: str | None = None,
        cause: Exception | None = None,
    ) -> None:
        """Store the details."""
        super().__init__(message)
        self.status_code = status_code
        self.body_snippet = body_snippet
        self.cause = cause


class PrefactorResponseTooLargeError(PrefactorResponseContractError):
    """A response has more bytes, as sent or uncompressed, than the client accepts.

    The server may have processed the request.

    Attributes:
        limit: `max_response_bytes` of the call.
    """

    def __init__(self, message: str, *, limit: int, status_code: int | None = None) -> None:
        """Store the limit."""
        super().__init__(message, status_code=status_code)
        self.limit = limit


class PrefactorClientError(PrefactorHttpError):
    """The client was used incorrectly, such as without an open session."""


class PrefactorRequestError(PrefactorClientError, ValueError):
    """The request is invalid. Nothing was sent.

    Attributes:
        location: The location of the invalid value, such as `json_data.payload.scores[2]`.
    """

    def __init__(self, message: str, location: str | None = None) -> None:
        """Store the message and the location."""
        super().__init__(message)
        self.location = location


# --- Classification -----------------------------------------------------------------------------


def is_transient_http_error(error: Exception) -> bool:
    """Whether the same request may succeed later.

    True for network failures, timeouts, and responses with status 429 or at least 500. Looks at
    `last_error` of a `PrefactorRetryExhaustedError`.
    """
    error = _unwrapped(error)
    if isinstance(error, aiohttp.ClientError | asyncio.TimeoutError | PrefactorNetworkError):
        return True
    status = _status_of(error)
    return status is not None and (status == RATE_LIMITED or status >= SERVER_ERROR)


def is_permanent_http_error(error: Exception) -> bool:
    """Whether the same request will fail again.

    True for redirects, for responses with a status from 400 to 499 except 429, and for responses
    that violate the contract for a reason that is not transient. Looks at `last_error` of a
    `PrefactorRetryExhaustedError`. An unrelated exception is neither transient nor permanent.
    """
    error = _unwrapped(error)
    if isinstance(error, PrefactorResponseContractError):
        return not is_transient_http_error(error)
    status = _status_of(error)
    return status is not None and 300 <= status < SERVER_ERROR and status != RATE_LIMITED  # noqa: PLR2004


def _unwrapped(error: Exception) -> Exception:
    if isinstance(error, PrefactorRetryExhaustedError) and error.last_error is not None:
        return error.last_error
    return error


def _status_of(error: Exception) -> int | None:
    if isinstance(error, PrefactorApiError | PrefactorResponseContractError):
        return error.status_code
    return None


# --- What aiohttp and asyncio raise --------------------------------------------------------------

NETWORK_FAILURES = (aiohttp.ClientError, asyncio.TimeoutError)
"""Exceptions of a failed attempt."""
LOST_CONNECTION = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError)
"""Exceptions of a request on an idle connection that the server has closed."""
NOT_RETRYABLE = (
    aiohttp.TooManyRedirects,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientConnectorCertificateError,
)
"""Network failures that another attempt cannot fix."""


def is_retryable(error: PrefactorNetworkError) -> bool:
    """Whether another attempt of the same call may succeed after a network failure."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # A proxy that refuses the caller will do so again. One that is busy may not.
        return error.status >= SERVER_ERROR or error.status in _TEMPORARY
    return not isinstance(error, NOT_RETRYABLE)


_joined: dict[tuple[type, type], type[PrefactorHttpError]] = {}


def join_classes(
    base: type[PrefactorHttpError], foreign: type[BaseException]
) -> type[PrefactorHttpError]:
    """Return a subclass of both classes, or `base` itself if it is one."""
    if issubclass(base, foreign):
        return base
    joined = _joined.get((base, foreign))
    if joined is None:
        name = f"{base.__name__}[{foreign.__name__}]"
        body = {"_parts": (base, foreign), "__module__": base.__module__, "__doc__": base.__doc__}
        joined = _joined[base, foreign] = type(name, (base, foreign), body)
    return joined


# --- Pickling -----------------------------------------------------------------------------------


def _parts_of(
    cls: type[PrefactorHttpError],
) -> tuple[type[PrefactorHttpError], type[BaseException] | None]:
    """Return the classes that join_classes() joined. Pickle cannot find a joined class by name."""
    return cls.__dict__.get("_parts") or (cls, None)


def _restore(
    parts: tuple[type[PrefactorHttpError], type[BaseException] | None],
    args: tuple[Any, ...],
    state: dict[str, Any],
) -> PrefactorHttpError:
    base, foreign = parts
    cls = base if foreign is None else join_classes(base, foreign)
    error = cls.__new__(cls)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


def state_of(error: BaseException) -> dict[str, Any]:
    """Return the attributes of an exception, including those that `OSError` stores in C."""
    in_c = ("errno", "strerror", "filename") if isinstance(error, OSError) else ()
    return {name: getattr(error, name) for name in in_c} | vars(error)


def _picklable_state(error: BaseException) -> dict[str, Any]:
    return {
        name: value if pickles(value) else _stand_in(value)
        for name, value in state_of(error).items()
    }


def pickles(value: object) -> bool:
    """Whether a value can be pickled and unpickled."""
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes, made on this line
    except Exception:  # noqa: BLE001 - pickling runs foreign code, which may raise anything
        return False
    return True


def _stand_in(value: object) -> PrefactorHttpError | None:
    """Replace an attribute that cannot be pickled by an exception with its text, or by None."""
    if isinstance(value, Exception):
        return PrefactorHttpError(f"{type(value).__name__}: {value}")
    return None
