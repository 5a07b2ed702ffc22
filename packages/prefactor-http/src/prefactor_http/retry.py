"""Retries: a pure policy decides whether and when, and one loop waits and tries again.

The policy gets the `Failure`, the number of retries and the remaining time, and returns a delay in
seconds or a reason to stop. It never sleeps, reads no clock and knows no HTTP library. `_calls`
classifies failures for it, and `_retry_quota` limits the retries of a whole client.
"""

from __future__ import annotations

import asyncio
import enum
import math
import random as random_module
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, Protocol, TypeVar

from prefactor_http._retry_quota import RETRY_COST, TIMEOUT_COST, RetryQuota
from prefactor_http.exceptions import (
    PrefactorApiError,
    PrefactorHttpError,
    PrefactorRetryExhaustedError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prefactor_http.config import HttpClientConfig

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

JITTER_LOW, JITTER_WIDTH = 0.75, 0.5
"""A delay is multiplied by a random factor from [0.75, 1.25), so that clients that failed together
do not retry together."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, with what the decision about a retry needs."""

    kind: Literal["final", "status", "not_sent", "unknown"]
    """`final`: a retry cannot help. `status`: the server responded. `not_sent`: nothing was sent.
    `unknown`: the server may have acted."""
    status: int | None = None
    """The status of the response, if any."""
    retry_after: float | None = None
    """The seconds that the server asked to wait."""
    should_retry: bool | None = None
    """The server's advice on a retry."""
    repeatable: bool = True
    """Whether it is safe to repeat: the method is idempotent, or there is a key."""
    timed_out: bool = False
    """Whether the attempt timed out."""


class Stop(enum.Enum):
    """Why there is no further attempt."""

    FINAL = "another attempt cannot help, or could do it twice"
    USED_UP = "all retries are used"
    TOO_LONG = "the server wants a longer wait than allowed"
    DEADLINE = "the wait would end after the deadline"
    QUOTA = "too many calls of this client are failing"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The rules, as an immutable value. Options that were None have been resolved."""

    max_retries: int
    initial_delay: float
    max_delay: float
    multiplier: float
    statuses: frozenset[int]

    @classmethod
    def of(cls, config: HttpClientConfig, max_retries: int | None = None) -> RetryPolicy:
        """Return the policy of a configuration."""
        return cls(
            max_retries=config.max_retries if max_retries is None else max_retries,
            initial_delay=config.initial_retry_delay,
            max_delay=config.max_retry_delay,
            multiplier=config.retry_multiplier,
            statuses=frozenset(config.retry_on_status_codes),
        )

    def backoff(self, retry: int, factor: float) -> float:
        """Return the delay before retry number `retry` (from 0), capped after the jitter."""
        try:
            return min(self.initial_delay * self.multiplier**retry * factor, self.max_delay)
        except OverflowError:
            return self.max_delay

    def worth_repeating(self, failure: Failure) -> bool:
        """Return whether another attempt is safe and might succeed.

        A configured status is retried for any method, because the caller listed it.
        """
        match failure.kind:
            case "final":
                return False
            case "not_sent":
                return True
            case "unknown":
                return failure.repeatable
            case "status" if failure.should_retry is not None:
                return failure.should_retry
            case "status":
                return failure.status in self.statuses

    def decide(
        self, failure: Failure, *, retries: int, time_left: float, factor: float
    ) -> float | Stop:
        """Return the seconds to wait before the next attempt, or why there is no further one.

        Args:
            failure: What happened.
            retries: Retries made so far.
            time_left: Seconds until the deadline; infinity without one.
            factor: The jitter factor.
        """
        if not self.worth_repeating(failure):
            return Stop.FINAL
        if retries >= self.max_retries:
            return Stop.USED_UP
        requested = failure.retry_after or 0.0
        if requested > self.max_delay:
            return Stop.TOO_LONG
        wait = max(self.backoff(retries, factor), requested)
        return wait if wait < time_left else Stop.DEADLINE


class Attempts(Protocol[T_co]):
    """A call, as the loop sees it."""

    @property
    def name(self) -> str:
        """The subject of the message of `PrefactorRetryExhaustedError`."""
        ...

    @property
    def deadline(self) -> float:
        """When it must end, on the handler's clock; infinity for never."""
        ...

    def attempt(self) -> Awaitable[T_co]:
        """Make one attempt."""
        ...

    def translated(self, error: Exception) -> Exception:
        """Return the error that callers see for an exception of an attempt."""
        ...

    def assess(self, error: Exception) -> Failure:
        """Classify a failed attempt. Called once per failure, with the translated error."""
        ...

    def policy(self) -> RetryPolicy:
        """Return the rules. Called only after a failure."""
        ...

    def note_retry(self, error: Exception, attempts: int, wait: float) -> None:
        """Report a retry, which follows after a wait in seconds."""
        ...


@dataclass(frozen=True, slots=True)
class _Operation(Generic[T]):
    """Any function as a call, with a predicate instead of a classification."""

    config: HttpClientConfig
    operation: Callable[..., Awaitable[T]]
    is_retryable: Callable[[Exception], bool]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    name: str = "Operation"
    deadline: float = math.inf

    def attempt(self) -> Awaitable[T]:
        return self.operation(*self.args, **self.kwargs)

    def translated(self, error: Exception) -> Exception:
        return error

    def assess(self, error: Exception) -> Failure:
        return Failure("unknown" if self.is_retryable(error) else "final")

    def policy(self) -> RetryPolicy:
        return RetryPolicy.of(self.config)

    def note_retry(self, error: Exception, attempts: int, wait: float) -> None:
        pass


class RetryHandler:
    """Runs an operation as often as the policy allows.

    Args:
        config: Source of the policy.
        quota: The budget shared with other calls; None for no budget.
        clock: Monotonic seconds.
        sleep: Waits for a number of seconds.
        random: Returns a random float from [0, 1).
    """

    def __init__(
        self,
        config: HttpClientConfig,
        *,
        quota: RetryQuota | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """Store the arguments. The policy is read from `config` for each call."""
        self.config = config
        self.quota = quota
        self.clock = clock
        self._sleep = sleep
        self._random = random

    async def execute(
        self,
        operation: Callable[..., Awaitable[T]],
        is_retryable: Callable[[Exception], bool],
        *args: Any,
        **kwargs: Any,
    ) -> T:
        """Call `operation(*args, **kwargs)`, and retry while `is_retryable(error)` is true.

        Raises:
            PrefactorRetryExhaustedError: The last attempt failed. With `max_retries=0`, and for an
                error that is not retryable, the error itself is raised.
        """
        return await self.run(_Operation(self.config, operation, is_retryable, args, kwargs))

    async def run(self, call: Attempts[T]) -> T:
        """Make attempts until one succeeds or the policy stops."""
        taken = retries = 0
        while True:
            try:
                result = await call.attempt()
            except Exception as raised:  # noqa: BLE001 - the call says which ones end the loop
                error = call.translated(raised)
                failure = call.assess(error)
                decision = self._decide(call, failure, retries)
                if isinstance(decision, Stop):
                    _give_up(error, decision, retries + 1, call.name)
                wait = decision
                call.note_retry(error, retries + 1, wait)
                taken += _cost(failure)
            else:
                if self.quota is not None:
                    self.quota.give_back(taken)
                return result
            # Outside of the except block, so that the traceback, its frames and buffers are freed
            # before the wait.
            retries += 1
            await (self._sleep or asyncio.sleep)(wait)

    async def pause(self, failures: int) -> None:
        """Wait before another attempt of an operation without a limit on retries."""
        wait = RetryPolicy.of(self.config).backoff(failures - 1, self._factor())
        await (self._sleep or asyncio.sleep)(wait)

    def _decide(self, call: Attempts[Any], failure: Failure, retries: int) -> float | Stop:
        wait = call.policy().decide(
            failure,
            retries=retries,
            time_left=call.deadline - self.clock(),
            factor=self._factor(),
        )
        if isinstance(wait, Stop) or self.quota is None or self.quota.take(_cost(failure)):
            return wait
        return Stop.QUOTA

    def _factor(self) -> float:
        return JITTER_LOW + JITTER_WIDTH * self._random()

    def _calculate_delay(self, attempt: int) -> float:
        """Return the seconds to wait after attempt number `attempt` (from 0), jitter included."""
        return RetryPolicy.of(self.config).backoff(attempt, self._factor())


def _give_up(error: Exception, why: Stop, attempts: int, name: str) -> NoReturn:
    """Raise the error of a call that has failed permanently."""
    if isinstance(error, PrefactorHttpError):
        error.attempts = attempts
    if why is not Stop.USED_UP or attempts == 1:
        raise error
    message = f"{name} failed after {attempts} attempts: {_cause(error)}"
    exhausted = PrefactorRetryExhaustedError(message, error)
    exhausted.attempts = attempts
    raise exhausted from error


def _cause(error: Exception) -> str:
    """Return why the last attempt failed, in one line."""
    said = str(error) or type(error).__name__
    if isinstance(error, PrefactorApiError):
        return f"status {error.status_code}, {error.code}: {said}"
    return said


def _cost(failure: Failure) -> int:
    return TIMEOUT_COST if failure.timed_out else RETRY_COST
