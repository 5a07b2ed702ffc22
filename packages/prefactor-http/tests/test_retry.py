"""When a call is retried, and after how long: rules without a network, then the loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_http import (
    HttpClientConfig,
    PrefactorApiError,
    PrefactorRateLimitError,
    PrefactorRetryExhaustedError,
)
from prefactor_http._retry_quota import (
    CAPACITY,
    RETRY_COST,
    SUCCESS_REFUND,
    TIMEOUT_COST,
    RetryQuota,
)
from prefactor_http.retry import Failure, RetryHandler, RetryPolicy, Stop

KINDS = st.sampled_from(["final", "status", "not_sent", "unknown"])
FAILURES = st.builds(
    Failure,
    kind=KINDS,
    status=st.none() | st.integers(400, 599),
    retry_after=st.none() | st.floats(0, 1e6),
    should_retry=st.none() | st.booleans(),
    repeatable=st.booleans(),
    timed_out=st.booleans(),
)
POLICIES = st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 10),
    initial_delay=st.floats(0.001, 10),
    max_delay=st.floats(10, 1000),
    multiplier=st.floats(1, 10),
    statuses=st.frozensets(st.integers(400, 599)),
)
FACTORS = st.floats(0.75, 1.25)
POLICY = RetryPolicy(3, 1.0, 60.0, 2.0, frozenset({429, 503}))


def decide(failure: Failure, **changes: Any) -> float | Stop:
    """Return the default policy's decision about the first failure, without a deadline."""
    return POLICY.decide(
        failure, **({"retries": 0, "time_left": math.inf, "factor": 1.0} | changes)
    )


@given(POLICIES, st.integers(0, 2000), FACTORS)
def test_the_wait_follows_the_formula(policy: RetryPolicy, retry: int, factor: float) -> None:
    """The wait is initial x multiplier^n x jitter, and never more than the cap."""
    wait = policy.backoff(retry, factor)
    assert 0 < wait <= policy.max_delay
    try:
        exact = policy.initial_delay * policy.multiplier**retry * factor
    except OverflowError:
        exact = math.inf
    assert wait == min(exact, policy.max_delay)


@given(POLICIES, FAILURES, st.integers(0, 12), st.floats(0, 1000), FACTORS)
def test_no_wait_breaks_a_limit(
    policy: RetryPolicy, failure: Failure, retries: int, time_left: float, factor: float
) -> None:
    """A wait always ends before the deadline, within the cap and the number of retries."""
    wait = policy.decide(failure, retries=retries, time_left=time_left, factor=factor)
    if isinstance(wait, Stop):
        return
    assert retries < policy.max_retries
    assert wait < time_left
    assert wait <= policy.max_delay
    assert wait >= (failure.retry_after or 0)
    assert policy.worth_repeating(failure)


@given(POLICIES, FAILURES)
def test_only_repeatable_requests_are_repeated(policy: RetryPolicy, failure: Failure) -> None:
    """A request that may have been processed is repeated only under a key; an unsent one always."""
    worth = policy.worth_repeating(failure)
    if failure.kind == "unknown":
        assert worth is failure.repeatable
    elif failure.kind in {"final", "not_sent"}:
        assert worth is (failure.kind == "not_sent")


def test_configured_statuses_decide() -> None:
    """A status is retried exactly if it is in the list, whatever its class."""
    assert decide(Failure("status", status=503)) == 1.0
    assert decide(Failure("status", status=500)) is Stop.FINAL
    odd = RetryPolicy(3, 1.0, 60.0, 2.0, frozenset({418}))
    assert odd.worth_repeating(Failure("status", status=418))
    assert not odd.worth_repeating(Failure("status", status=503))


def test_the_server_overrides_the_list_of_statuses() -> None:
    """`x-should-retry` beats the list in both directions."""
    assert decide(Failure("status", status=503, should_retry=False)) is Stop.FINAL
    assert decide(Failure("status", status=409, should_retry=True)) == 1.0


def test_the_larger_wait_wins() -> None:
    """The server's wait and our own are both lower bounds."""
    assert decide(Failure("status", status=429, retry_after=7.0)) == 7.0
    assert decide(Failure("status", status=429, retry_after=0.1)) == 1.0


def test_a_wait_over_the_maximum_ends_the_call() -> None:
    """A server that asks for more than the longest wait gets no further attempt."""
    assert decide(Failure("status", status=429, retry_after=61.0)) is Stop.TOO_LONG


def test_the_deadline_ends_a_call_early() -> None:
    """A wait that would end at or after the deadline is not started."""
    assert decide(Failure("not_sent"), time_left=1.0) is Stop.DEADLINE
    assert decide(Failure("not_sent"), time_left=1.001) == 1.0
    assert decide(Failure("status", status=429, retry_after=5.0), time_left=5.0) is Stop.DEADLINE


def test_retries_run_out() -> None:
    """After the last retry the policy gives up."""
    assert decide(Failure("not_sent"), retries=2) == 4.0
    assert decide(Failure("not_sent"), retries=3) is Stop.USED_UP


# --- The loop -------------------------------------------------------------------------------------


class Naps:
    """Replaces `asyncio.sleep`: records the waits and returns at once."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


class Script:
    """An operation that raises the given errors in order and then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self, answer: str = "done") -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return answer


def handler(naps: Naps, **changes: Any) -> RetryHandler:
    """A handler whose jitter factor is 1 and whose waits take no time."""
    settings: dict[str, Any] = {"api_url": "u", "api_token": "t", **changes}
    return RetryHandler(HttpClientConfig(**settings), sleep=naps, random=lambda: 0.5)


def always(_error: Exception) -> bool:
    """Retry every failure."""
    return True


async def test_execute_retries_accepted_failures() -> None:
    """Failures are repeated with growing waits until the operation succeeds."""
    naps, script = Naps(), Script(ValueError("1"), ValueError("2"))
    assert await handler(naps).execute(script, always, answer="yes") == "yes"
    assert (script.calls, naps.waits) == (3, [1.0, 2.0])


async def test_execute_raises_other_errors_at_once() -> None:
    """An error that the predicate rejects is raised at once, unwrapped."""
    naps, script = Naps(), Script(ValueError("no"))
    with pytest.raises(ValueError, match=r"^no$"):
        await handler(naps).execute(script, lambda error: isinstance(error, KeyError))
    assert (script.calls, naps.waits) == (1, [])


async def test_execute_gives_up() -> None:
    """After the last retry the failure is wrapped with the number of attempts."""
    naps, last = Naps(), ValueError("4")
    script = Script(ValueError("1"), ValueError("2"), ValueError("3"), last)
    with pytest.raises(
        PrefactorRetryExhaustedError, match=r"^Operation failed after 4 att"
    ) as info:
        await handler(naps).execute(script, always)
    assert info.value.last_error is last
    assert info.value.attempts == 4
    assert naps.waits == [1.0, 2.0, 4.0]


async def test_without_retries_the_error_itself_is_raised() -> None:
    """`max_retries=0` means one attempt and no wrapping."""
    error = ValueError("only")
    with pytest.raises(ValueError, match="only") as info:
        await handler(Naps(), max_retries=0).execute(Script(error), always)
    assert info.value is error


async def test_attempts_are_noted_on_the_error() -> None:
    """The final error of a call has the number of attempts."""
    script = Script(PrefactorApiError("a", "unknown", 503), PrefactorApiError("b", "unknown", 400))
    with pytest.raises(PrefactorApiError) as info:
        await handler(Naps()).execute(
            script, lambda error: isinstance(error, PrefactorApiError) and error.status_code == 503
        )
    assert (str(info.value), info.value.attempts) == ("b", 2)


@given(st.integers(0, 20))
def test_calculate_delay_stays_within_its_bounds(attempt: int) -> None:
    """The delay lies within a quarter of the formula, and the cap is absolute."""
    config = HttpClientConfig("u", "t", initial_retry_delay=0.5, max_retry_delay=9)
    delay = RetryHandler(config)._calculate_delay(attempt)
    formula = 0.5 * 2.0**attempt
    assert min(0.75 * formula, 9) <= delay <= min(1.25 * formula, 9)


# --- The quota ------------------------------------------------------------------------------------


def test_the_quota_limits_retries() -> None:
    """The retries of a failing service end when the quota is used up."""
    quota = RetryQuota()
    assert sum(quota.take(RETRY_COST) for _ in range(1000)) == CAPACITY // RETRY_COST
    assert not quota.take(TIMEOUT_COST)


def test_success_refunds_tokens() -> None:
    """A successful retry refunds its token, and a success without retry adds a little."""
    quota = RetryQuota()
    quota.take(RETRY_COST)
    quota.take(TIMEOUT_COST)
    quota.give_back(TIMEOUT_COST)
    assert quota.tokens == CAPACITY - RETRY_COST
    quota.give_back(0)
    assert quota.tokens == CAPACITY - RETRY_COST + SUCCESS_REFUND


@given(st.lists(st.integers(0, 9)))
def test_the_number_of_tokens_stays_within_the_bucket(steps: list[int]) -> None:
    """In any order of retries and successes, the number of tokens stays within the bucket."""
    quota = RetryQuota(capacity=20)
    for step in steps:
        if step < 5:
            quota.take(step)
        else:
            quota.give_back(step)
        assert 0 <= quota.tokens <= 20


async def test_an_empty_quota_surfaces_the_failure_itself() -> None:
    """When the quota is used up, a call fails at its first failure."""
    naps = Naps()
    limited = RetryHandler(HttpClientConfig("u", "t"), quota=RetryQuota(0), sleep=naps)
    error = PrefactorRateLimitError("slow down", "unknown", 429)
    with pytest.raises(PrefactorRateLimitError) as info:
        await limited.execute(Script(error), always)
    assert info.value is error
    assert naps.waits == []
