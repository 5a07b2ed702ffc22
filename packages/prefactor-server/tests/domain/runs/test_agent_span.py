"""The state machine of a span, as a table, and what a termination does to it."""

import pytest
from rows import NOW, span

from prefactor_server.domain.errors import InvalidAction
from prefactor_server.domain.runs.agent_span import (
    CLOSED_BY_TERMINATION,
    FINISHED,
    FINISHED_BEFORE_STARTED,
    SENSITIVE_ENCODING,
    UNREGISTERED_TYPE,
    SpanStatus,
    time_flags,
)

LATER = NOW + 2000
STATUSES: tuple[SpanStatus, ...] = ("pending", "active", "complete", "failed", "cancelled")

ALLOWED: list[tuple[SpanStatus, SpanStatus]] = [
    ("active", "complete"),
    ("active", "failed"),
    ("active", "cancelled"),
    ("pending", "cancelled"),
]
REFUSED: list[tuple[SpanStatus, SpanStatus, str]] = [
    ("pending", "complete", "Span must be active to finish; it is pending"),
    ("pending", "failed", "Span must be active to finish; it is pending"),
    *(
        (over, to, f"Span is already {over}")
        for over in ("complete", "failed", "cancelled")
        for to in ("complete", "failed", "cancelled")
    ),
]


@pytest.mark.parametrize(("before", "after"), ALLOWED)
def test_an_open_span_can_end(before: SpanStatus, after: SpanStatus) -> None:
    """An active span can end in every way, and a pending one can be cancelled."""
    span(status=before).check_can_finish(after)


@pytest.mark.parametrize(("before", "after", "message"), REFUSED)
def test_every_other_end_is_refused(before: SpanStatus, after: SpanStatus, message: str) -> None:
    """Ending a span that has ended, or a pending one except by cancelling, is refused clearly."""
    with pytest.raises(InvalidAction) as refused:
        span(status=before).check_can_finish(after)

    assert refused.value.message == message


def test_the_two_tables_cover_every_pair() -> None:
    """Every pair of status and end is in one of the tables above."""
    pairs = {*ALLOWED, *((before, after) for before, after, _ in REFUSED)}

    assert len(pairs) == len(STATUSES) * len(FINISHED)


@pytest.mark.parametrize("after", sorted(FINISHED))
def test_a_span_closed_by_termination_may_end_once(after: SpanStatus) -> None:
    """An active or pending span closed by its run's termination may be finished once."""
    for before in ("active", "pending"):
        span(status=before).close_by_termination(LATER).check_can_finish(after)


def test_a_termination_closes_an_active_span() -> None:
    """An active span becomes cancelled at the time of the termination, marked as closed by it."""
    found = span(flags=SENSITIVE_ENCODING)

    assert found.close_by_termination(LATER) == found._replace(
        status="cancelled",
        finished_at=LATER,
        flags=SENSITIVE_ENCODING | CLOSED_BY_TERMINATION,
        updated_at=LATER,
    )


def test_a_termination_closes_a_pending_span() -> None:
    """A pending span, which has no start, gets the time of the termination as its start too."""
    closed = span(status="pending", started_at=None).close_by_termination(LATER)

    assert (closed.status, closed.started_at, closed.finished_at) == ("cancelled", LATER, LATER)


def test_a_termination_marks_a_span_from_the_future() -> None:
    """A span whose client's clock runs ahead is marked as ending before it started."""
    closed = span(started_at=LATER + 1).close_by_termination(LATER)

    assert closed.flags == CLOSED_BY_TERMINATION | FINISHED_BEFORE_STARTED


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_a_termination_leaves_an_ended_span_alone(status: SpanStatus) -> None:
    """A span that has ended is the same after its run was terminated."""
    found = span(status=status, finished_at=NOW)

    assert found.close_by_termination(LATER) is found


@pytest.mark.parametrize(
    ("started", "finished", "flag"),
    [
        (None, None, 0),
        (5, None, 0),
        (None, 5, 0),
        (5, 5, 0),
        (5, 6, 0),
        (6, 5, FINISHED_BEFORE_STARTED),
    ],
)
def test_a_backward_span_is_flagged(started: int | None, finished: int | None, flag: int) -> None:
    """Only a span with both times, the end before the start, is flagged for it."""
    assert time_flags(started, finished) == flag


def test_flags_are_separate_bits() -> None:
    """No two flags share a bit."""
    flags = (CLOSED_BY_TERMINATION, UNREGISTERED_TYPE, FINISHED_BEFORE_STARTED, SENSITIVE_ENCODING)

    assert sum(flags) == 0b1111
    assert all(flag.bit_count() == 1 for flag in flags)
