"""One call: what it sends, how long it may take, and what its failures mean for another attempt."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any

from .exceptions import (
    HOPELESS,
    NETWORK_FAILURES,
    PrefactorApiError,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorResponseContractError,
    translated,
)
from .retry import Failure, RetryHandler, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .config import HttpClientConfig
    from .options import RequestOptions
    from .redaction import Redactor
    from .sessions import Sessions

logger = logging.getLogger("prefactor_http")

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods whose repetition has the effect of doing it once (RFC 9110, section 9.2.2)."""


class Call:
    """What all attempts of one call share. Body and key are fixed before the first one leaves."""

    __slots__ = (
        "_arguments",
        "_closings",
        "_config",
        "_handler",
        "_redactor",
        "_send",
        "_sessions",
        "_settings",
        "deadline",
        "key",
        "method",
        "path",
    )

    def __init__(
        self,
        method: str,
        path: str,
        *,
        send: Callable[..., Awaitable[dict[str, Any]]],
        arguments: dict[str, Any],
        settings: RequestOptions,
        config: HttpClientConfig,
        handler: RetryHandler,
        sessions: Sessions[Any],
        redactor: Redactor,
    ) -> None:
        """Prepare a call.

        Args:
            method: The HTTP method.
            path: Path below the base URL.
            send: Makes one attempt on the open session.
            arguments: What it is called with after method and path.
            settings: The options of this call.
            config: What the options do not say.
            handler: Runs the attempts; its clock counts for the deadline.
            sessions: Where the session comes from.
            redactor: Removes the token from error messages.
        """
        self._send = send
        self._arguments = arguments
        self._settings = settings
        self._config = config
        self._handler = handler
        self._sessions = sessions
        self._redactor = redactor
        self._closings = sessions.closings
        self.method = method
        self.path = path
        self.key: str | None = arguments["idempotency_key"]
        limit = settings.deadline or config.deadline
        self.deadline = math.inf if limit is None else handler.clock() + limit

    @property
    def name(self) -> str:
        """What failed, in the message of the last error."""
        return f"Request to {self.path}"

    async def attempt(self) -> dict[str, Any]:
        """Make one attempt on a session of the running loop."""
        if not self._sessions.ready:
            await self._sessions.ensure()
        limits = self._limits()
        try:
            return await self._send(self.method, self.path, **self._arguments, **limits)
        except NETWORK_FAILURES as error:
            if isinstance(error, PrefactorHttpError):
                raise
            seconds = limits.get("seconds", self._config.request_timeout)
            what = f"{self.method} {self.path}"
            failure = translated(error, what, self._redactor, seconds)
            raise failure from failure.__cause__

    def assess(self, error: Exception) -> Failure:
        """Say what a failed attempt means for another one."""
        if self._sessions.closings != self._closings:
            return Failure("final")  # somebody closed the client: do not open it again
        match error:
            case PrefactorNetworkError() if isinstance(error, HOPELESS):
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
        return RetryPolicy.of(self._config, self._settings.max_retries)

    def note_retry(self, error: Exception, attempts: int, wait: float) -> None:
        """Log a failure that is not the last word.

        The class and never the text of the error: that may quote the body of a response.
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
        """Arguments of an attempt that differ from those of the session; usually none."""
        settings = self._settings
        limits: dict[str, Any] = {}
        if settings.headers:
            limits["headers"] = settings.headers
        if settings.request_timeout is not None or self.deadline < math.inf:
            own = settings.request_timeout or self._config.request_timeout
            limits["seconds"] = min(own, self.deadline - self._handler.clock())
        return limits


def log_reply(method: str, path: str, status: int) -> None:
    """Note that a request was answered."""
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s %s answered with status %d", method, loggable(path), status)


def loggable(path: str) -> str:
    """A path without its query, which may hold anything."""
    return path.partition("?")[0]
