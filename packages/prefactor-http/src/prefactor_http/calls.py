"""One call: what it sends, how long it may take, and what its failures mean for another attempt."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
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
    from .encoding import EncodedBody
    from .options import RequestOptions
    from .redaction import Redactor
    from .sessions import Sessions

logger = logging.getLogger("prefactor_http")

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods whose repetition has the effect of doing it once (RFC 9110, section 9.2.2)."""


@dataclass(slots=True, kw_only=True)
class Call:
    """What all attempts of one call share. Body and key are fixed before the first one leaves."""

    send: Callable[..., Awaitable[dict[str, Any]]]
    """Makes one attempt on the open session."""
    sessions: Sessions[Any]
    config: HttpClientConfig
    redactor: Redactor
    method: str
    path: str
    params: dict[str, Any] | None
    body: EncodedBody | None
    key: str | None
    settings: RequestOptions

    async def run(self, handler: RetryHandler) -> dict[str, Any]:
        """Make attempts until one succeeds or the policy stops."""
        limit = self.settings.deadline or self.config.deadline
        deadline = math.inf if limit is None else handler.clock() + limit
        closings = self.sessions.closings

        async def attempt() -> dict[str, Any]:
            return await self._attempt(deadline - handler.clock())

        def assess(error: Exception) -> Failure:
            if self.sessions.closings != closings:
                return Failure("final")  # somebody closed the client: do not open it again
            return self._assess(error)

        return await handler.run(
            attempt,
            assess,
            policy=self._policy,
            deadline=deadline,
            on_retry=self._log_retry,
            name=f"Request to {self.path}",
        )

    def _policy(self) -> RetryPolicy:
        return RetryPolicy.of(self.config, self.settings.max_retries)

    async def _attempt(self, time_left: float) -> dict[str, Any]:
        await self.sessions.ensure()
        limits = self._limits(time_left)
        try:
            return await self.send(
                self.method,
                self.path,
                params=self.params,
                json_data=self.body,
                idempotency_key=self.key,
                **limits,
            )
        except NETWORK_FAILURES as error:
            if isinstance(error, PrefactorHttpError):
                raise
            seconds = limits.get("seconds", self.config.request_timeout)
            what = f"{self.method} {self.path}"
            failure = translated(error, what, self.redactor, seconds)
            raise failure from failure.__cause__

    def _limits(self, time_left: float) -> dict[str, Any]:
        """Arguments of an attempt that differ from those of the session; usually none."""
        limits: dict[str, Any] = {}
        if self.settings.headers:
            limits["headers"] = self.settings.headers
        if self.settings.request_timeout is not None or time_left < math.inf:
            own = self.settings.request_timeout or self.config.request_timeout
            limits["seconds"] = min(own, time_left)
        return limits

    def _assess(self, error: Exception) -> Failure:
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

    def _log_retry(self, error: Exception, attempts: int, wait: float) -> None:
        # The class and never the text of the error: that may quote the body of a response.
        logger.info(
            "%s %s failed in attempt %d (%s %s), next in %.2f s",
            self.method,
            loggable(self.path),
            attempts,
            type(error).__name__,
            getattr(error, "status_code", "without a status"),
            wait,
        )


def log_reply(method: str, path: str, status: int) -> None:
    """Note that a request was answered."""
    logger.debug("%s %s answered with status %d", method, loggable(path), status)


def loggable(path: str) -> str:
    """A path without its query, which may hold anything."""
    return path.partition("?")[0]
