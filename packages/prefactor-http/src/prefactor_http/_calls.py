"""One call: its request, its time limits, and the classification of its failures.

Whether and when a failed attempt is retried is decided in `retry`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from prefactor_http._options import NO_OPTIONS, RequestOptions
from prefactor_http._transport.headers import IDEMPOTENCY_KEY
from prefactor_http._transport.translation import translated
from prefactor_http.exceptions import (
    NETWORK_FAILURES,
    PrefactorApiError,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorResponseContractError,
    is_retryable,
)
from prefactor_http.retry import Failure, RetryHandler, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from prefactor_http._redaction import Redactor
    from prefactor_http._transport.sessions import Sessions
    from prefactor_http.config import HttpClientConfig

T = TypeVar("T")

logger = logging.getLogger("prefactor_http")

NO_LIMITS: dict[str, Any] = {}
"""No limits other than the client's, as in the usual attempt."""

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that are idempotent by RFC 9110, section 9.2.2."""


class Context(NamedTuple):
    """The parts that all calls of a client share."""

    config: HttpClientConfig
    """The defaults for options that a call does not set."""
    handler: RetryHandler
    """Runs the attempts. Deadlines are measured on its clock."""
    sessions: Sessions[Any]
    """The source of sessions."""
    redactor: Redactor
    """Removes secrets from error messages."""


class Call(Generic[T]):
    """The part that all attempts of a call share. Body and key are fixed before the first one."""

    __slots__ = (
        "_body",
        "_close_count",
        "_context",
        "_params",
        "_seconds",
        "_send",
        "_settings",
        "deadline",
        "key",
        "method",
        "path",
    )

    def __init__(  # noqa: PLR0917 - by position, because there is one caller and one call per span
        self,
        context: Context,
        settings: RequestOptions,
        send: Callable[..., Awaitable[T]],
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Mapping[str, Any] | bytes | None,
        key: str | None,
    ) -> None:
        """Prepare a call.

        Args:
            context: The parts that all calls share.
            settings: The options of this call.
            send: Makes one attempt on the open session.
            method: The HTTP method.
            path: Path below the base URL.
            params: The query.
            body: The body, encoded already.
            key: The idempotency key.
        """
        self._context = context
        self._settings = settings
        self._send = send
        self._params = params
        self._body = body
        self._seconds: float | None = None
        self._close_count = context.sessions.close_count
        self.method = method
        self.path = path
        self.key = key
        limit = settings.deadline or context.config.deadline
        self.deadline = math.inf if limit is None else context.handler.clock() + limit

    @property
    def name(self) -> str:
        """The subject of the last error's message."""
        return f"Request to {self.path}"

    def attempt(self) -> Awaitable[T]:
        """Make one attempt on a session of the running loop.

        Not a coroutine, because in the usual case it only passes on the coroutine that sends.
        """
        if not self._context.sessions.ready:
            return self._open_and_attempt()
        limited = self._settings is not NO_OPTIONS or self.deadline < math.inf
        return self._send(
            self.method,
            self.path,
            params=self._params,
            json_data=self._body,
            idempotency_key=self.key,
            **(self._limits() if limited else NO_LIMITS),
        )

    async def _open_and_attempt(self) -> T:
        await self._context.sessions.ensure()
        return await self.attempt()

    def translated(self, error: Exception) -> Exception:
        """Return this package's error for the exception of a failed attempt."""
        if isinstance(error, PrefactorHttpError) or not isinstance(error, NETWORK_FAILURES):
            return error
        seconds = self._seconds or self._context.config.request_timeout
        what = f"{self.method} {self.path}"
        return translated(error, what, self._context.redactor, seconds)

    def assess(self, error: Exception) -> Failure:
        """Classify a failed attempt for the retry policy."""
        if self._context.sessions.close_count != self._close_count:
            return Failure("final")  # the client was closed; do not open it again
        match error:
            case PrefactorNetworkError() if not is_retryable(error):
                return Failure("final")
            case PrefactorNetworkError():
                return Failure(
                    "unknown" if error.may_have_been_processed else "not_sent",
                    repeatable=bool(self.key) or self.method.upper() in IDEMPOTENT_METHODS,
                    timed_out=isinstance(error, asyncio.TimeoutError),
                )
            case PrefactorApiError() | PrefactorResponseContractError():
                return Failure(
                    "status",
                    status=error.status_code,
                    retry_after=error.retry_after,
                    should_retry=error.should_retry,
                )
            case _:
                return Failure("final")

    def policy(self) -> RetryPolicy:
        """The rules of this call."""
        return RetryPolicy.of(self._context.config, self._settings.max_retries)

    def note_retry(self, error: Exception, attempts: int, wait: float) -> None:
        """Log a failure that will be retried.

        Logs the class of the error, never its text, which may quote the body of a response.
        """
        logger.info(
            "%s %s failed in attempt %d (%s %s), next in %.2f s",
            self.method,
            loggable(self.path),
            attempts,
            type(error).__name__,
            getattr(error, "status_code", "without a status"),
            wait,
        )

    def _limits(self) -> dict[str, Any]:
        """Return the arguments of an attempt that differ from the client's; usually none."""
        settings = self._settings
        limits: dict[str, Any] = {}
        if settings.headers:
            limits["headers"] = settings.headers
        if settings.request_timeout is not None or self.deadline < math.inf:
            own = settings.request_timeout or self._context.config.request_timeout
            left = self.deadline - self._context.handler.clock()
            # Never zero: an attempt without time left must still fail as a timeout.
            limits["seconds"] = self._seconds = max(min(own, left), 0.001)
        if settings.max_response_bytes is not None:
            limits["max_bytes"] = settings.max_response_bytes
        return limits


def repeatable(arguments: Mapping[str, Any]) -> bool:
    """Return whether sending the request twice has the effect of sending it once."""
    return IDEMPOTENCY_KEY in arguments["headers"] or (
        arguments["method"].upper() in IDEMPOTENT_METHODS
    )


def log_response(method: str, path: str, status: int) -> None:
    """Log that a request was answered."""
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s %s answered with status %d", method, loggable(path), status)


def loggable(path: str) -> str:
    """Return a path without its query, which may contain secrets."""
    return path.partition("?")[0]
