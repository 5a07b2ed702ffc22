"""The token bucket: what it allows, and when it refills."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.rate_limit import BURST_SECONDS, WAIT_SECONDS, Bucket

SECOND = 1_000_000


def drained(per_second: int, now: int) -> tuple[Bucket, int]:
    """Take from a bucket until it is empty; return it with the number of requests."""
    bucket, taken = Bucket.full(per_second, now), 0
    while (less := bucket.without_one()) is not None:
        bucket, taken = less, taken + 1
    return bucket, taken


def test_a_full_bucket_holds_a_burst() -> None:
    """After a pause a caller may send several seconds' worth of requests at once."""
    assert drained(3, 0)[1] == 3 * BURST_SECONDS


def test_a_bucket_refills_up_to_a_burst() -> None:
    """A second adds the rate, and a year adds no more than a burst."""
    empty, _ = drained(4, 0)

    assert empty.refilled(4, SECOND).left == 4
    assert empty.refilled(4, SECOND // 2).left == 2
    assert empty.refilled(4, 365 * 86_400 * SECOND) == Bucket.full(4, 365 * 86_400 * SECOND)


def test_a_clock_set_back_changes_nothing() -> None:
    """A clock that runs backwards neither fills nor empties the bucket."""
    bucket = Bucket(1.5, 100 * SECOND)

    assert bucket.refilled(5, 50 * SECOND).left == 1.5


@pytest.mark.parametrize(("left", "per_second"), [(0.0, 1), (0.5, 1), (0.0, 1000), (0.99, 3)])
def test_the_reported_wait_is_long_enough(left: float, per_second: int) -> None:
    """After the reported wait, a request is allowed at every rate."""
    refilled = Bucket(left, 0).refilled(per_second, WAIT_SECONDS * SECOND)

    assert refilled.without_one() is not None


@given(
    per_second=st.integers(1, 1000),
    gaps=st.lists(st.integers(0, 3 * SECOND), max_size=200),
)
def test_never_more_than_the_rate_and_a_burst(per_second: int, gaps: list[int]) -> None:
    """For any gaps, the allowed requests stay within the rate times the time, plus a burst."""
    bucket, now, passed = Bucket.full(per_second, 0), 0, 0
    for gap in gaps:
        now += gap
        bucket = bucket.refilled(per_second, now)
        less = bucket.without_one()
        if less is not None:
            bucket, passed = less, passed + 1

    assert passed <= per_second * (BURST_SECONDS + now / SECOND) + 0.001
