"""The state machine of a run, as a table, and the counts of its spans."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import NOW, instance, span

from prefactor_server.domain.errors import InvalidAction
from prefactor_server.domain.runs.agent_instance import AgentInstance, FinishStatus, InstanceStatus
from prefactor_server.domain.runs.agent_span import FINISHED, AgentSpan, SpanStatus

AT = NOW + 1000
LATER = NOW + 2000
OVER: tuple[InstanceStatus, ...] = ("complete", "failed", "cancelled", "terminated")


def act(run: AgentInstance, action: str) -> AgentInstance:
    """The run after an action, named by a verb or by the status that it finishes with."""
    if action == "start":
        return run.start(AT, LATER)
    if action == "terminate":
        return run.terminate("enough", LATER)
    status: Any = action
    return run.finish(status, AT, LATER)


ALLOWED: list[tuple[InstanceStatus, str, dict[str, Any]]] = [
    ("pending", "start", {"status": "active", "started_at": AT}),
    ("pending", "cancelled", {"status": "cancelled", "started_at": AT, "finished_at": AT}),
    ("active", "complete", {"status": "complete", "finished_at": AT}),
    ("active", "failed", {"status": "failed", "finished_at": AT}),
    ("active", "cancelled", {"status": "cancelled", "finished_at": AT}),
    (
        "active",
        "terminate",
        {"status": "terminated", "finished_at": LATER, "termination_reason": "enough"},
    ),
]
REFUSED: list[tuple[InstanceStatus, str, str]] = [
    ("pending", "complete", "Agent instance must be active to become complete; it is pending"),
    ("pending", "failed", "Agent instance must be active to become failed; it is pending"),
    ("pending", "terminate", "Agent instance must be active to be terminated; it is pending"),
    ("active", "start", "Agent instance is already active"),
    *(
        (status, action, f"Agent instance is already {status}")
        for status in OVER
        for action in ("start", "complete", "failed", "cancelled", "terminate")
    ),
]


@pytest.mark.parametrize(("status", "action", "changed"), ALLOWED)
def test_an_allowed_transition_sets_status_and_times(
    status: InstanceStatus, action: str, changed: dict[str, Any]
) -> None:
    """Each transition of the state machine sets its status and times, and nothing else."""
    run = instance(status=status, last_seen_at=NOW)
    # A termination is no sign of life of the agent.
    seen_at = NOW if action == "terminate" else LATER

    assert act(run, action) == run._replace(**changed, updated_at=LATER, last_seen_at=seen_at)


@pytest.mark.parametrize("action", ["start", "complete", "count", "heartbeat"])
def test_the_latest_sign_of_life_counts(action: str) -> None:
    """A write that is decided late, with an earlier time, does not make a run seem silent."""
    run = instance(status="pending" if action == "start" else "active", last_seen_at=LATER + 1)
    if action == "count":
        written = run.count_span("active", LATER)
    elif action == "heartbeat":
        written = run.mark_seen(LATER)
    else:
        written = act(run, action)

    assert written.last_seen_at == LATER + 1


@pytest.mark.parametrize(("status", "action", "message"), REFUSED)
def test_every_other_transition_is_refused(
    status: InstanceStatus, action: str, message: str
) -> None:
    """Each transition outside the state machine is refused, and the error names the status."""
    with pytest.raises(InvalidAction) as refused:
        act(instance(status=status), action)

    assert refused.value.message == message


def test_the_two_tables_cover_every_pair() -> None:
    """Every pair of status and action is in exactly one of the tables above."""
    pairs = [(status, action) for status, action, _ in [*ALLOWED, *REFUSED]]

    assert len(set(pairs)) == len(pairs) == 6 * 5


def test_a_run_is_found_by_its_external_identifier_within_its_agent() -> None:
    """A run has a second handle exactly when it has an external identifier."""
    assert instance().lookup_keys() == (("run-1",),)
    assert instance(external_identifier="x").lookup_keys() == (
        ("run-1",),
        ("agent-1", "external_identifier", "x"),
    )


# One step in the life of a run: a span is created, one of the spans is finished, or the run ends.
SPAN_STATUSES = st.sampled_from(["pending", "active", "complete", "failed", "cancelled"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), SPAN_STATUSES),
        st.tuples(st.sampled_from(["complete", "failed", "cancelled"]), st.integers(0, 20)),
        st.tuples(st.just("terminate"), st.none()),
    ),
    max_size=40,
)


def live(
    run: AgentInstance, spans: list[AgentSpan], step: tuple[str, Any]
) -> tuple[AgentInstance, list[AgentSpan]]:
    """One step, as the commands take it."""
    action, argument = step
    if action == "create":
        status: SpanStatus = argument
        return run.count_span(status, NOW), [*spans, span(status=status)]
    if action == "terminate":
        closed = [one.close_by_termination(LATER) for one in spans]
        return run.terminate("enough", LATER), closed
    finish: FinishStatus = action  # type: ignore[assignment]
    if not spans:
        return run, spans
    at = argument % len(spans)
    spans[at].check_can_finish(finish)
    run = run.recount_span(spans[at].status, finish, NOW)
    return run, [*spans[:at], spans[at]._replace(status=finish, flags=0), *spans[at + 1 :]]


@given(STEPS)
def test_counts_are_those_of_the_spans(steps: list[tuple[str, Any]]) -> None:
    """After any sequence of creates, finishes and a termination, the counts count the spans."""
    run, spans = instance(status="active"), list[AgentSpan]()
    for step in steps:
        try:
            run, spans = live(run, spans, step)
        except InvalidAction:
            continue
        counted = {
            "pending": run.pending_spans,
            "active": run.active_spans,
            "complete": run.complete_spans,
            "failed": run.failed_spans,
            "cancelled": run.cancelled_spans,
        }
        found = Counter(one.status for one in spans)
        assert counted == {status: found[status] for status in counted}
        assert min(counted.values()) >= 0
        assert sum(counted.values()) == len(spans)
        finished = run.complete_spans + run.failed_spans + run.cancelled_spans
        assert finished == sum(one.status in FINISHED for one in spans)
