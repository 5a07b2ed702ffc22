"""The plan of random faults, without a server."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from prefactor_http.testing import Drop, FaultPlan, HtmlReply, Reply, Stall, Step, Truncate


def first(count: int, plan: FaultPlan) -> list[Step | None]:
    """Return the first steps of a plan."""
    return list(islice(plan.steps(), count))


def test_the_seed_decides_the_sequence() -> None:
    """The same seed always gives the same faults, and another seed others."""
    plan = FaultPlan(seed=1, drop_before=0.3, stall=0.3)

    assert first(100, plan) == first(100, plan)
    assert first(100, plan) != first(100, FaultPlan(seed=2, drop_before=0.3, stall=0.3))


def test_every_rate_is_met() -> None:
    """Each fault occurs about as often as its rate, and the other requests are answered."""
    rates = {"drop_before": 0.1, "drop_after": 0.1, "stall": 0.2, "truncate": 0.1}
    plan = FaultPlan(seed=3, throttle=0.1, unavailable=0.1, stall_seconds=2, **rates)

    seen = Counter(step.status if isinstance(step, Reply) else step for step in first(10_000, plan))

    shares = {step: round(count / 10_000, 1) for step, count in seen.items()}
    assert shares == {
        Drop(): 0.1,
        Drop(after="processing"): 0.1,
        Stall(2): 0.1,
        Stall(2, after="processing"): 0.1,
        Truncate(): 0.1,
        429: 0.1,
        503: 0.1,
        None: 0.3,
    }


def test_a_plan_without_rates_does_nothing() -> None:
    """A plan without rates answers every request normally."""
    assert set(first(100, FaultPlan(seed=1))) == {None}


@pytest.mark.parametrize("rates", [{"stall": -0.1}, {"stall": 0.6, "truncate": 0.6}])
def test_rates_must_be_probabilities(rates: dict[str, float]) -> None:
    """A rate below zero or above one is refused in the constructor."""
    with pytest.raises(ValueError, match="add up to at most 1"):
        FaultPlan(seed=1, **rates)


def test_refusals_name_their_wait() -> None:
    """A throttled or unavailable reply has the planned wait and the error body."""
    [reply] = first(1, FaultPlan(seed=1, throttle=1.0, retry_after=0.25))

    assert isinstance(reply, Reply)
    assert reply.headers == {"Retry-After": "0.25"}
    assert reply.body == {"status": "error", "code": "unknown", "message": "Too many requests"}


def test_an_html_reply_is_a_page() -> None:
    """An HTML reply is a page with a status, 503 by default."""
    assert HtmlReply().status == 503
    assert HtmlReply(404).status == 404
    assert str(HtmlReply().body).startswith("<html>")
