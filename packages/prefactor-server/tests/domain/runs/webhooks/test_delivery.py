"""The state of a delivery and its webhook, attempt by attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import ACCOUNT, NOW, webhook, webhook_delivery

from prefactor_server.domain.runs.webhooks.delivery import (
    MAX_DELAY_US,
    Attempt,
    delivery_id,
    event_id,
    retry_delay_us,
    webhook_after,
)
from prefactor_server.domain.runs.webhooks.webhook import GIVE_UP_US

SECOND = 1_000_000


def _answer(status: int | None, at: int = NOW, retry_after: int = 0) -> Attempt:
    return Attempt(at, status, None if status == 200 else "no", retry_after)


@given(st.lists(st.sampled_from([None, 200, 302, 404, 429, 503]), max_size=100))
def test_a_delivery_is_tried_for_three_days(statuses: list[int | None]) -> None:
    """A delivery is retried at growing intervals until a 2xx, for at most three days."""
    delivery = webhook_delivery()
    for status in statuses:
        if delivery.status != "pending":
            break
        at = delivery.next_attempt_at
        delivery = delivery.after(_answer(status, at), 0.0)
        if status == 200:
            assert delivery.status == "delivered"
        elif at >= NOW + GIVE_UP_US:
            assert delivery.status == "failed"
        else:
            assert at < delivery.next_attempt_at <= min(at + MAX_DELAY_US, NOW + GIVE_UP_US)
    assert delivery.attempts <= 100


@given(st.integers(1, 1000), st.floats(0, 1))
def test_delays_grow_to_an_hour(attempts: int, jitter: float) -> None:
    """The first delay is five seconds, none exceeds an hour, and jitter takes up to a fifth."""
    whole = retry_delay_us(attempts, 0.0)

    assert 5 * SECOND <= whole <= MAX_DELAY_US
    assert whole <= retry_delay_us(attempts + 1, 0.0)
    assert 0.8 * whole - 1 <= retry_delay_us(attempts, jitter) <= whole


def test_retry_after_is_a_lower_bound() -> None:
    """A longer Retry-After moves the next attempt, of the delivery and of the webhook."""
    attempt = _answer(429, retry_after=600 * SECOND)

    assert webhook_delivery().after(attempt, 0.0).next_attempt_at == NOW + 600 * SECOND
    assert webhook_after(webhook(), attempt, 0.0).not_before == NOW + 600 * SECOND


@pytest.mark.parametrize("status", [302, 400, 404, 422])
def test_a_refused_event_delays_no_other(status: int) -> None:
    """A status about one request does not delay others, but counts towards disabling."""
    failing = webhook_after(webhook(), _answer(status), 0.0)
    assert (failing.not_before, failing.failing_since) == (0, NOW)

    late = webhook_after(failing, _answer(status, NOW + GIVE_UP_US), 0.0)
    assert (late.status, late.disabled_reason) == (
        "disabled",
        "nothing was delivered for three days",
    )


@pytest.mark.parametrize("status", [None, 408, 425, 429, 500, 503, 599])
def test_a_failing_receiver_delays_every_event(status: int | None) -> None:
    """A receiver that is unreachable, overloaded or broken gets no other event meanwhile."""
    failing = webhook_after(webhook(), _answer(status), 0.0)

    assert (failing.not_before, failing.failures) == (NOW + 5 * SECOND, 1)


def test_failures_together_count_once() -> None:
    """Attempts that fail together delay the next one as much as a single failure."""
    first = webhook_after(webhook(), _answer(None), 0.0)

    assert webhook_after(first, _answer(503, NOW + 1), 0.0) == first
    assert webhook_after(first, _answer(503, first.not_before), 0.0).failures == 2


def test_one_success_ends_the_failure() -> None:
    """After a 2xx, a webhook is as if it had never failed."""
    failing = webhook_after(webhook(), _answer(None), 0.0)

    assert webhook_after(failing, _answer(200, NOW + 1), 0.0) == webhook()
    assert webhook_after(webhook(), _answer(200), 0.0) == webhook()


def test_ids_are_derived() -> None:
    """The same event of a run has one id, and one delivery to each webhook."""
    once = event_id("run-1", "run.failed", "1")

    assert once == event_id("run-1", "run.failed", "1")
    assert len({once, event_id("run-1", "run.failed", "2"), event_id("run-2", "x", "1")}) == 3
    assert delivery_id("w1", once) != delivery_id("w2", once)
    assert webhook_delivery().account_id == ACCOUNT
