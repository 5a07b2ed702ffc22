"""Everything that can go wrong, in one tree: a caller picks how broadly to catch.

    PrefactorHttpError                      everything this package raises for a failed request
    ├── PrefactorApiError                   the server answered with a status >= 400
    │   ├── PrefactorAuthError              401, 403: the token is bad or may not do this
    │   ├── PrefactorNotFoundError          404
    │   ├── PrefactorValidationError        400, 422; `errors` says which fields
    │   ├── PrefactorConflictError          409: wrong state, or a key used for something else
    │   ├── PrefactorRateLimitError         429; `retry_after` says how long to wait
    │   └── PrefactorRedirectError          3xx: the API is at another address; never followed
    ├── PrefactorNetworkError               no usable answer; also what aiohttp or asyncio raised
    │   └── PrefactorTimeoutError           … because time ran out (a `TimeoutError` too)
    ├── PrefactorRetryExhaustedError        every retry was used; `last_error` is the last failure
    ├── PrefactorResponseContractError      an answer that is not what the API promises
    │   └── PrefactorResponseTooLargeError  an answer with more bytes than `max_response_bytes`
    └── PrefactorClientError                the client was used in a way that cannot work
        └── PrefactorRequestError           this request cannot be sent as it is; a `ValueError`

Invalid arguments of typed methods raise `PrefactorRequestError` before any request. Where a model
refused them, that is also pydantic's `ValidationError`. All classes pickle with their attributes,
and no text of theirs contains the token.
"""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import aiohttp

RATE_LIMITED = 429
SERVER_ERROR = 500


class PrefactorHttpError(Exception):
    """Base class of all errors of this package; `str(error)` is exactly `message`."""

    message: str
    """What happened, in words."""
    attempts: int | None = None
    """HTTP attempts that the call made; None when nothing was sent or that is not known."""
    request_id: str | None = None
    """The server's id of the request, from the error body or the `X-Request-Id` header."""
    retry_after: float | None = None
    """Seconds that the server asked to wait, when it did."""
    should_retry: bool | None = None
    """The server's own word on trying again (`x-should-retry`), when it gave it."""

    def __init__(self, *args: Any) -> None:
        """Keep the first argument as `message`."""
        # Not super(): in the classes that join_classes() makes, the next one in line is a foreign
        # class whose constructor wants other arguments.
        Exception.__init__(self, *args)
        self.message = str(args[0]) if args else ""

    def __str__(self) -> str:
        """The message, whatever a mixed-in foreign exception class would say."""
        return self.message

    def __repr__(self) -> str:
        """Class and message only."""
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without calling the constructor, whose arguments differ from `args`."""
        return _restore, (_parts_of(type(self)), self.args, _picklable_state(self))


class PrefactorApiError(PrefactorHttpError):
    """The server answered with an error status.

    Attributes:
        code: The error code of the API, such as `invalid_action`; `unknown` when none was given.
        status_code: The HTTP status.
    """

    limit: int | None = None
    """How much the server takes, when there was too much of something and it said so."""
    limit_of: str | None = None
    """What the limit counts, such as `items` or `request_bytes`."""

    def __init__(self, message: str, code: str, status_code: int) -> None:
        """Take the three facts that every error response has."""
        super().__init__(message)
        self.code = code
        self.status_code = status_code


class PrefactorAuthError(PrefactorApiError):
    """The token is missing, bad or expired (401), or not allowed to do this (403)."""


class PrefactorNotFoundError(PrefactorApiError):
    """There is no such thing, or the token may not see it (404)."""


class PrefactorValidationError(PrefactorApiError):
    """The server rejected the content of the request (400, 422).

    Attributes:
        errors: What is wrong, by field; values are lists of messages or nested error objects.
    """

    def __init__(self, message: str, code: str, status_code: int, errors: dict[str, Any]) -> None:
        """Take the facts of an error response and its map of field errors."""
        super().__init__(message, code, status_code)
        self.errors = errors


class PrefactorConflictError(PrefactorApiError):
    """The state does not allow this, or the idempotency key belongs to another request (409)."""


class PrefactorRateLimitError(PrefactorApiError):
    """Too many requests (429)."""


class PrefactorRedirectError(PrefactorApiError):
    """The server redirected the request (3xx), which the client never follows.

    Following it would hand the token and the payload to another address, or turn a write into a
    read that reports success.

    Attributes:
        target: Where to, without userinfo and query; None when the server did not say.
    """

    def __init__(self, message: str, code: str, status_code: int, target: str | None) -> None:
        """Take the facts of an error response and the target."""
        super().__init__(message, code, status_code)
        self.target = target


class PrefactorNetworkError(PrefactorHttpError):
    """No usable answer arrived.

    The instance that is raised is also an instance of the aiohttp or asyncio class of the
    original failure, so `except aiohttp.ClientConnectorError` and `except asyncio.TimeoutError`
    catch it too; the original is its `__cause__`.

    Attributes:
        may_have_been_processed: False when the request never left, so that sending it again is
            always safe; True when the server may have acted on it.
    """

    may_have_been_processed: bool = True


class PrefactorTimeoutError(PrefactorNetworkError, asyncio.TimeoutError):
    """The attempt, the connection or the deadline of the call ran out of time."""


class PrefactorRetryExhaustedError(PrefactorHttpError):
    """All retries were used and the last attempt failed as well.

    Attributes:
        last_error: The failure of the last attempt.
    """

    def __init__(self, message: str, last_error: Exception | None = None) -> None:
        """Remember the last failure, and what it knew about the request."""
        super().__init__(message)
        self.last_error = last_error
        if isinstance(last_error, PrefactorHttpError):
            self.request_id = last_error.request_id
            self.retry_after = last_error.retry_after


class PrefactorResponseContractError(PrefactorHttpError):
    """The body of a response is not the JSON that the API promises.

    Attributes:
        status_code: The HTTP status, None when a well-formed reply did not fit its model.
        body_snippet: The beginning of the body, white space collapsed; None when it is empty.
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
        """Keep the evidence."""
        super().__init__(message)
        self.status_code = status_code
        self.body_snippet = body_snippet
        self.cause = cause


class PrefactorResponseTooLargeError(PrefactorResponseContractError):
    """A response has more bytes, as sent or uncompressed, than the client takes.

    The server may have acted on the request.

    Attributes:
        limit: `max_response_bytes` of the call.
    """

    def __init__(self, message: str, *, limit: int, status_code: int | None = None) -> None:
        """Keep the limit."""
        super().__init__(message, status_code=status_code)
        self.limit = limit


class PrefactorClientError(PrefactorHttpError):
    """The client was used in a way that cannot work, such as without an open session."""


class PrefactorRequestError(PrefactorClientError, ValueError):
    """The request cannot be sent as it is; nothing has left the process.

    Attributes:
        location: The place of the offending value, such as `json_data.payload.scores[2]`.
    """

    def __init__(self, message: str, location: str | None = None) -> None:
        """Say what is wrong, and where."""
        super().__init__(message)
        self.location = location


# --- Classification -----------------------------------------------------------------------------


def is_transient_http_error(error: Exception) -> bool:
    """Whether the same request may well succeed later.

    True for network failures, timeouts, and answers with 429 or a status of 500 and above. Looks
    at `last_error` of a `PrefactorRetryExhaustedError`.
    """
    error = _unwrapped(error)
    if isinstance(error, aiohttp.ClientError | asyncio.TimeoutError | PrefactorNetworkError):
        return True
    status = _status_of(error)
    return status is not None and (status == RATE_LIMITED or status >= SERVER_ERROR)


def is_permanent_http_error(error: Exception) -> bool:
    """Whether the same request will fail again.

    True for redirects, for answers with a status from 400 to 499 other than 429, and for replies
    that break the contract for a reason that is not transient. Looks at `last_error` of a
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
"""What a failed attempt raises."""
LOST_CONNECTION = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError)
"""How an idle connection that the server has closed meanwhile announces itself."""
NOT_RETRYABLE = (aiohttp.TooManyRedirects, aiohttp.ServerFingerprintMismatch)
"""Network failures that another attempt cannot cure."""


_joined: dict[tuple[type, type], type[PrefactorHttpError]] = {}


def join_classes(
    base: type[PrefactorHttpError], foreign: type[BaseException]
) -> type[PrefactorHttpError]:
    """A subclass of both, named after both; `base` itself when it is one already."""
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
    """What join_classes() made the class from: such a class cannot be found by its name."""
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
    """Attributes of an exception, with those that `OSError` keeps outside of its `__dict__`."""
    in_c = ("errno", "strerror", "filename") if isinstance(error, OSError) else ()
    return {name: getattr(error, name) for name in in_c} | vars(error)


def _picklable_state(error: BaseException) -> dict[str, Any]:
    return {
        name: value if pickles(value) else _stand_in(value)
        for name, value in state_of(error).items()
    }


def pickles(value: object) -> bool:
    """Whether the value survives pickling."""
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes, made on this line
    except Exception:  # noqa: BLE001 - pickling runs foreign code, which may raise anything
        return False
    return True


def _stand_in(value: object) -> PrefactorHttpError | None:
    """What is kept of an attribute that does not pickle: an exception's text."""
    if isinstance(value, Exception):
        return PrefactorHttpError(f"{type(value).__name__}: {value}")
    return None
