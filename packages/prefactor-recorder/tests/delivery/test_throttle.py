"""When requests may be sent and how large they may be, without a real clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_recorder.delivery.batch_size import FRAME, TRUST, BatchLimits
from prefactor_recorder.delivery.heartbeats import HeartbeatSchedule
from prefactor_recorder.delivery.polling import PollSchedule
from prefactor_recorder.delivery.throttle import (
    MAX_BACKOFF,
    MAX_RETRY_AFTER,
    SPEED_UP_AFTER,
    Throttle,
    backoff,
    retry_after_delay,
)


def steady() -> Throttle:
    """A throttle in its initial state."""
    return Throttle(interval=0.25, probe_interval=60, in_flight=4)


def at(
    throttle: Throttle, *, full: bool = False, flushing: bool = False, in_flight: int = 0
) -> float:
    """Return when the next request may be sent."""
    return throttle.next_at(full=full, flushing=flushing, in_flight=in_flight)


@given(failures=st.integers(1, 10**6), chance=st.floats(0, 1, exclude_max=True))
def test_waits_double_from_one_second_to_a_minute(failures: int, chance: float) -> None:
    """A wait is within a quarter of its doubled base, and never above a minute."""
    base = min(2.0 ** min(failures - 1, 30), MAX_BACKOFF)
    assert 0.75 * base <= backoff(failures, chance) <= min(1.25 * base, MAX_BACKOFF)


def test_retry_after_is_a_lower_bound() -> None:
    """The wait is a little longer at random, never shorter, and at most about an hour."""
    assert retry_after_delay(5, 0.0) == 5
    assert 5 < retry_after_delay(5, 0.9) <= 5.5
    assert retry_after_delay(10**9, 0.0) == MAX_RETRY_AFTER


def test_the_first_request_is_sent_at_once() -> None:
    """Partial requests keep the interval; full ones, and those of a flush, do not."""
    throttle = steady()
    assert at(throttle) <= 0
    throttle.sent(100.0)
    assert at(throttle) == 100.25
    assert at(throttle, full=True) <= 0
    assert at(throttle, flushing=True) <= 0
    assert at(throttle, full=True, in_flight=3) <= 0
    assert at(throttle, full=True, in_flight=4) == math.inf


def test_after_a_failure_one_request_probes() -> None:
    """Nothing leaves until the wait is over, and then one at a time."""
    throttle = steady()
    throttle.sent(10)
    assert throttle.failed(11, started=10, retry_after=None, chance=0.5)
    assert at(throttle, full=True) == 12
    assert at(throttle, full=True, in_flight=1) == math.inf
    throttle.failed(13, started=12, retry_after=None, chance=0.5)
    assert at(throttle, full=True) == 13 + 1
    throttle.failed(15, started=14, retry_after=None, chance=0.5)
    assert at(throttle, full=True) == 15 + 2


def test_requests_that_fail_together_count_as_one() -> None:
    """Four requests that were under way when the server died are one failure."""
    throttle = steady()
    news = [throttle.failed(11 + n, started=10, retry_after=None, chance=0.5) for n in range(4)]
    assert news == [True, False, False, False]
    assert at(throttle) == 12


def test_a_lost_connection_is_tried_again_at_once_but_only_once() -> None:
    """Servers close idle connections, but a second loss in a row is a failure."""
    throttle = steady()
    throttle.failed(10, started=9, retry_after=None, chance=0.5, dropped=True)
    assert at(throttle) == 10
    throttle.failed(11, started=10, retry_after=None, chance=0.5, dropped=True)
    assert at(throttle) == 12


def test_a_flush_ends_a_wait_unless_the_server_asked_for_it() -> None:
    """A flush tries at once after a failure and while paused, but respects Retry-After."""
    throttle = steady()
    throttle.failed(10, started=9, retry_after=None, chance=0.5)
    throttle.probe_now()
    assert at(throttle, flushing=True) <= 0
    throttle.failed(12, started=11, retry_after=30.0, chance=0.0)
    throttle.probe_now()
    assert at(throttle, flushing=True) == 42
    throttle.pause(50, "no", chance=0.0)
    assert at(throttle) == 110
    throttle.probe_now()
    assert at(throttle, flushing=True) <= 0


def test_a_pause_is_reported_once() -> None:
    """A rejected token is tried once a minute, and reported once."""
    throttle = steady()
    assert throttle.pause(10, "status 401", chance=0.0)
    assert throttle.paused == "status 401"
    assert at(throttle) == 70
    assert not throttle.pause(70, "status 401", chance=0.0)
    assert at(throttle) == 130
    assert throttle.succeeded(backlog=False)
    assert throttle.paused is None


def test_recovery_is_twice_the_steady_cadence() -> None:
    """After trouble full requests keep over half the interval, until the backlog is gone."""
    throttle = steady()
    throttle.failed(10, started=9, retry_after=None, chance=0.5)
    assert throttle.succeeded(backlog=True)
    throttle.sent(20)
    assert at(throttle, full=True) == pytest.approx(20.1375)
    assert not throttle.succeeded(backlog=False)
    assert at(throttle, full=True) <= 0


def test_recovery_speeds_up_after_successes() -> None:
    """A backlog that remains after many successes is sent twice as fast."""
    throttle = steady()
    throttle.recover()
    for _ in range(SPEED_UP_AFTER):
        throttle.succeeded(backlog=True)
    throttle.sent(20)
    assert at(throttle, full=True) == pytest.approx(20.06875)


def test_limits_double_back_to_their_maximum() -> None:
    """Each time that the server has accepted enough requests, the limits double, to the maximum."""
    limits = BatchLimits(1000, 4000)
    limits.refused(300)
    limits.too_large(2000)
    grown = []
    for _ in range(4):
        for _ in range(TRUST):
            grown.append((limits.items, limits.bytes - FRAME))
            limits.succeeded()
    expected = [(150, 1000), (300, 2000 + FRAME), (600, 4000 - FRAME), (1000, 4000 - FRAME)]

    assert grown == [one for one in expected for _ in range(TRUST)]


def test_a_rejected_size_is_halved_down_to_one_item() -> None:
    """In a request of a thousand, the bad item is found in ten requests; then the size returns."""
    limits = BatchLimits(1000, 4000)
    halvings = 0
    while limits.items > 1:
        limits.refused(limits.items)
        halvings += 1
    assert halvings == 9
    limits.singled_out()
    assert limits.items == 1000


def test_a_limit_of_the_server_is_learned() -> None:
    """A refused size is not tried again until many requests have succeeded."""
    limits = BatchLimits(1000, 4000)
    limits.refused(1000)
    limits.too_large(4000)
    for _ in range(TRUST - 1):
        limits.succeeded()
    assert (limits.items, limits.bytes) == (500, 2000 + FRAME)
    limits.succeeded()
    assert (limits.items, limits.bytes) == (1000, 4000)


def test_trouble_shrinks_requests_and_success_restores_them() -> None:
    """A server that fails on large requests gets small ones; each success doubles them."""
    limits = BatchLimits(1000, 4000)
    limits.troubled(1000)
    limits.troubled(500)
    assert limits.items == 250
    limits.succeeded()
    limits.succeeded()
    assert limits.items == 1000


@pytest.mark.parametrize("runs", [[], ["run-1"], ["run-1", "run-2", "run-3"]])
def test_open_runs_are_polled_in_turn(runs: list[str]) -> None:
    """Each open run is polled once per interval of silence, the quietest first."""
    polling = PollSchedule(30)
    assert polling.next_at == math.inf
    for place, run_id in enumerate(runs):
        polling.record_response(run_id, place)
    asked = []
    now = 0.0
    while polling.next_at < 59.5:
        now = polling.next_at
        asked.append(polling.due(runs, now))
    assert asked == runs
    assert polling.due([], now) is None
    assert polling.next_at == math.inf


def test_a_run_with_news_is_not_polled() -> None:
    """An answer about a run restarts its interval, and a new run begins with one."""
    polling = PollSchedule(30)
    polling.record_response("run-1", 0)
    polling.record_response("run-1", 20)
    assert polling.due(["run-1", "run-2"], 30) is None
    assert polling.next_at == 50
    assert polling.due(["run-1", "run-2"], 50) == "run-1"
    assert polling.due(["run-1", "run-2"], 60) == "run-2"


def test_heartbeats_are_sent_at_most_once_an_interval() -> None:
    """The first comes soon after a response, for all runs together, if any are open."""
    schedule = HeartbeatSchedule(60)
    assert (schedule.next_at, schedule.due(["run-1"], 0)) == (math.inf, ())
    schedule.record_response(100)
    schedule.record_response(104)
    assert (schedule.next_at, schedule.due(["run-1"], 104)) == (105, ())
    assert schedule.due(["run-1", "run-2"], 105) == [["run-1", "run-2"]]
    schedule.record_response(110)
    assert schedule.next_at == 165
    assert (schedule.due([], 165), schedule.next_at) == ((), math.inf)
    schedule.record_response(150)
    assert schedule.next_at == 165


def test_many_runs_share_heartbeats() -> None:
    """A heartbeat names as many runs as the API accepts."""
    schedule = HeartbeatSchedule(60)
    schedule.record_response(0)
    runs = [f"run-{number}" for number in range(2001)]
    parts = schedule.due(runs, 5)
    assert [len(part) for part in parts] == [1000, 1000, 1]
    assert [run for part in parts for run in part] == runs


def test_heartbeats_wait_while_requests_fail() -> None:
    """Heartbeats wait, so that the loop sleeps; a server without heartbeats is tried hourly."""
    schedule, polling = HeartbeatSchedule(60), PollSchedule(30)
    schedule.record_response(0)
    polling.record_response("run-1", 0)
    schedule.postpone(50)
    polling.postpone(50)
    assert (schedule.next_at, polling.next_at) == (55, 80)
    assert schedule.due(["run-1"], 55)
    schedule.refused(56)
    assert (schedule.is_supported, schedule.next_at) == (False, 3656)
    assert schedule.due(["run-1"], 3656)
    assert schedule.is_supported
