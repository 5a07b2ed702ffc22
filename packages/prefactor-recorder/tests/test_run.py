"""A run is registered, started, ended and possibly terminated."""

import pickle
from datetime import datetime

import pytest

from journal_fixture import RecordingJournal, TickingClock, make_run, make_sink
from prefactor_recorder.encoding.clock import SECOND
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.run import Run


def test_a_run_is_registered_started_and_finished(journal: RecordingJournal) -> None:
    """The records of a run are in order, and all have the id chosen at its creation."""
    run = make_run(journal)
    with run:
        assert run.open
    assert [each["operation"] for each in journal.as_dicts()] == ["REGISTER", "START", "FINISH"]
    assert {each["run"] for each in journal.as_dicts()} == {run.id}
    assert journal.as_dicts()[0]["agent_id"] == "a"
    assert journal.as_dicts()[2]["status"] == "complete"
    assert not run.open


@pytest.mark.parametrize("jump", [-3600, 3600, 10**9])
def test_a_clock_jump_does_not_affect_a_run(journal: RecordingJournal, jump: int) -> None:
    """When the clock is set in the middle of a run, its spans keep their order and durations."""
    clock = TickingClock()
    with make_run(journal, clock=clock) as run, run.span("outer"):
        clock.shift = jump * SECOND
        with run.span("inner"):
            pass
    outer, inner = journal.of_operation(Operation.CREATE_SPAN)
    inner_end, outer_end = journal.of_operation(Operation.FINISH_SPAN)
    moments = [
        datetime.fromisoformat(text)
        for text in (
            outer["started_at"],
            inner["started_at"],
            inner_end["finished_at"],
            outer_end["finished_at"],
        )
    ]
    assert moments == sorted(moments)
    assert (moments[-1] - moments[0]).total_seconds() < 60


def test_a_dropped_span_has_no_end(journal: RecordingJournal) -> None:
    """A span dropped for lack of room has no end either, and its children move up a level."""
    with make_run(journal) as run, run.span("outer") as outer:
        journal.room = 0
        with run.span("dropped"):
            journal.room = 10
            with run.span("inner"):
                pass
    names = [each["schema_name"] for each in journal.of_operation(Operation.CREATE_SPAN)]
    assert names == ["outer", "inner"]
    assert journal.of_operation(Operation.CREATE_SPAN)[1]["parent_span_id"] == outer.id
    assert len(journal.of_operation(Operation.FINISH_SPAN)) == 2


def test_a_dropped_run_records_nothing_more(journal: RecordingJournal) -> None:
    """Without its registration a run has no place on the server, so no span is written."""
    journal.room = 0
    run = make_run(journal)
    with run:
        journal.room = 10
        with run.span("lost"):
            pass
    assert journal.as_dicts() == []
    assert not run.live


def test_a_terminated_run_raises_where_the_next_span_opens(journal: RecordingJournal) -> None:
    """The host gets a termination, with its reason, only where it opens a span."""
    run = make_run(journal)

    def host() -> None:
        with run:
            with run.span("before"):
                run.mark_terminated("over budget")
            assert run.terminated
            assert run.termination_reason == "over budget"
            with run.span("after"):
                raise AssertionError("not reached")

    with pytest.raises(RunTerminated, match="over budget") as caught:
        host()
    assert caught.value.run_id == run.id
    assert [each["schema_name"] for each in journal.of_operation(Operation.CREATE_SPAN)] == [
        "before"
    ]
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own error
    assert (str(copy), copy.reason) == (str(caught.value), "over budget")


def test_a_callback_replaces_the_exception(journal: RecordingJournal) -> None:
    """With a callback the run is still recorded, and the callback is called once."""
    told: list[Run] = []
    with make_run(journal, told.append) as run:
        run.mark_terminated("over budget")
        for _ in range(3):
            with run.span("after"):
                pass
    assert told == [run]
    assert len(journal.of_operation(Operation.FINISH_SPAN)) == 3


def test_an_attached_run_is_neither_registered_nor_finished(journal: RecordingJournal) -> None:
    """A process that got a run's id adds spans to it and leaves start and end to the owner."""
    sink = make_sink(journal)
    attached = Run(sink, "run-of-another-process", None, None)
    with attached as run, run.span("agent:tool", parent="span-of-another-process"):
        pass
    assert [each["operation"] for each in journal.as_dicts()] == ["CREATE_SPAN", "FINISH_SPAN"]
    assert journal.as_dicts()[0]["parent_span_id"] == "span-of-another-process"


def test_an_unrecorded_run_does_nothing_and_says_so() -> None:
    """In an unrecorded run, code that records works the same, and records nothing."""
    with Run(None, "", None, None) as run, run.span("agent:llm", {"a": 1}) as span:
        span.set_result({"b": 2})
        run.start_span("agent:tool").finish()
    assert not run.live
    assert (run.id, span.id) == ("", "")
