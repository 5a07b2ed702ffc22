"""The recorder for tests shows what was recorded, and explains failed assertions."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from prefactor_recorder import RunTerminated, SpanTypes
from prefactor_recorder.testing import FixedClock, InMemoryRecorder


@pytest.fixture
def recorder() -> Iterator[InMemoryRecorder]:
    """A recorder without a server."""
    with InMemoryRecorder("shop") as recorder:
        yield recorder


def work(recorder: InMemoryRecorder) -> None:
    """Something that records."""
    with recorder.run(version="1", purpose="eval") as run:
        with run.span("llm", {"model": "m-1"}) as span, run.span("tool", [1]):
            span.set_result({"text": "hi"})
        with pytest.raises(ValueError, match="no stock"), run.span("order"):
            raise ValueError("no stock")


def test_runs_and_spans_are_plain_records(recorder: InMemoryRecorder) -> None:
    """A recorded run shows its registration, payloads, results, ends and parents."""
    work(recorder)

    (run,) = recorder.runs
    assert (run.agent_id, run.status) == ("shop", "complete")
    assert run.registration["agent_version"] == {"external_identifier": "1"}
    assert run.registration["purpose"] == "eval"
    llm, tool, order = recorder.spans
    assert (llm.payload, llm.result, llm.status) == ({"model": "m-1"}, {"text": "hi"}, "complete")
    assert (tool.parent, tool.parent_id, tool.payload) == (llm, llm.id, {"value": [1]})
    assert (llm.parent, llm.children, llm.run, run.spans) == (None, [tool], run, [llm, tool, order])
    assert order.error is not None
    assert (order.status, order.error["message"]) == ("failed", "no stock")


def test_ids_and_times_are_the_same_every_time() -> None:
    """Two runs of a test record the same, to the last character."""
    first, second = InMemoryRecorder(), InMemoryRecorder()
    for recorder in (first, second):
        work(recorder)

    assert [vars(run)["id"] for run in first.runs] == [run.id for run in second.runs]
    for one, other in zip(first.spans, second.spans, strict=True):
        assert (one.id, one.started_at, one.finished_at) == (
            other.id,
            other.started_at,
            other.finished_at,
        )


def test_time_passes_when_the_test_says_so() -> None:
    """The clock of the recorder is moved by hand."""
    start = datetime(2030, 5, 1, 12, tzinfo=UTC)
    recorder = InMemoryRecorder(clock=FixedClock(start, tick=timedelta(0)))
    with recorder.run() as run, run.span("slow"):
        recorder.clock.advance(90)

    span = recorder.span_named("slow")
    assert span.started_at == start
    assert span.finished_at == start + timedelta(seconds=90)


def test_the_tree_is_text(recorder: InMemoryRecorder) -> None:
    """Each line is a run or a span with its status, below its parent."""
    work(recorder)

    recorder.assert_tree("""
        run shop complete
          llm complete
            tool complete
          order failed: ValueError
    """)
    assert recorder.tree().splitlines()[3] == "  order failed: ValueError"


def test_another_tree_is_shown_beside_the_expected_one(recorder: InMemoryRecorder) -> None:
    """A failed comparison has both trees in its message."""
    work(recorder)

    with pytest.raises(AssertionError) as failed:
        recorder.assert_tree("run shop complete")

    assert "recorded:\n    run shop complete\n      llm complete" in str(failed.value)
    assert "expected:\n    run shop complete" in str(failed.value)


@pytest.mark.parametrize("name", ["nothing", "twice"])
def test_an_ambiguous_span_is_reported(recorder: InMemoryRecorder, name: str) -> None:
    """The error says how many spans of the type exist, and lists them."""
    with recorder.run() as run:
        for _ in range(2):
            run.start_span("twice").finish()

    number = len(recorder.spans_named(name))
    with pytest.raises(AssertionError, match=f"expected one span '{name}', found {number}"):
        recorder.span_named(name)


def test_open_spans_are_reported(recorder: InMemoryRecorder) -> None:
    """An unended span is named, and otherwise nothing is reported."""
    run = recorder.run()
    run.start()
    span = run.start_span("forgotten")

    with pytest.raises(AssertionError, match=f"not ended: run {run.id}, forgotten"):
        recorder.assert_all_ended()
    span.finish()
    run.finish()
    recorder.assert_all_ended()


def test_a_run_can_be_terminated(recorder: InMemoryRecorder) -> None:
    """The code under test sees what it would see after a termination on the server."""
    with recorder.run() as run:
        recorder.terminate(run, "budget")
        with pytest.raises(RunTerminated, match="budget"):
            run.start_span("next")

    assert (run.terminated, run.termination_reason) == (True, "budget")
    assert recorder.spans == []


def test_spans_of_an_attached_run_are_shown(recorder: InMemoryRecorder) -> None:
    """An attached run shows its spans, and the parent id that was passed in."""
    run = recorder.attach("0" * 32)
    with run, run.span("here", parent="1" * 32):
        pass

    assert recorder.span_named("here").parent_id == "1" * 32
    assert recorder.runs[0].registration == {}


def test_the_pipeline_is_that_of_production() -> None:
    """Redaction, truncation and span types work as they do with a server."""
    types = SpanTypes()
    types.span_type("a", title="A")
    recorder = InMemoryRecorder(
        redact=lambda _, payload: {**payload, "secret": "***"},
        max_payload_size=1024,
        span_types=[types],
    )
    with recorder.run() as run, run.span("a", {"secret": "x", "text": "t" * 5000}):
        pass

    span = recorder.span_named("a")
    assert span.payload["secret"] == "***"
    assert span.payload["prefactor.truncated"]["fields"] == ["text"]
    (sent,) = recorder.runs[0].registration["agent_schema_version"]["span_type_schemas"]
    assert sent["title"] == "A"


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's environment variables do not affect the recorder for tests."""
    monkeypatch.setenv("PREFACTOR_RECORDER_ENABLED", "false")
    monkeypatch.setenv("PREFACTOR_SAMPLE_RATE", "0")
    monkeypatch.setenv("PREFACTOR_AGENT_ID", "somebody-else")
    recorder = InMemoryRecorder()
    work(recorder)

    assert recorder.runs[0].agent_id == "test-agent"
    assert len(recorder.spans) == 3


def test_threads_may_record_at_the_same_time(recorder: InMemoryRecorder) -> None:
    """Nothing is lost when many threads record into one run."""
    with recorder.run() as run, ThreadPoolExecutor(8) as pool:
        for number in range(200):
            pool.submit(lambda number=number: run.start_span("s", {"n": number}).finish())

    assert sorted(span.payload["n"] for span in recorder.spans) == list(range(200))
    recorder.assert_all_ended()


def test_it_can_be_emptied_and_closed(recorder: InMemoryRecorder) -> None:
    """A shared recorder can be cleared between tests, and a closed one records nothing."""
    run = recorder.run()
    run.start()
    recorder.clear()
    run.finish()
    assert (recorder.runs, recorder.spans, recorder.tree()) == ([], [], "")

    work(recorder)
    assert recorder.flush() == recorder.close() == 0
    work(recorder)
    assert len(recorder.runs) == 1
    assert recorder.stats().undelivered == 0


async def test_it_can_be_used_from_asynchronous_code() -> None:
    """The asynchronous methods do the same as the synchronous ones."""
    async with InMemoryRecorder() as recorder:
        async with recorder.run() as run, run.span("a"):
            pass
        assert await recorder.aflush() == 0
        assert recorder.stats().delivered == 5


def test_conflicting_types_do_not_lose_the_run(recorder: InMemoryRecorder) -> None:
    """Types for one run that contradict the recorder's are left out; the run is recorded."""
    recorder.span_type("a", title="one")
    other = SpanTypes()
    other.span_type("a", title="two")
    failures = recorder.stats().failures

    with recorder.run(span_types=[other]):
        pass

    (run,) = recorder.runs
    (sent,) = run.registration["agent_schema_version"]["span_type_schemas"]
    assert (run.status, sent["title"]) == ("complete", "one")
    assert recorder.stats().failures == failures + 1


def test_the_collector_may_record_while_something_is_recorded() -> None:
    """A span that garbage collection ends while another record is written is kept."""
    recorder = InMemoryRecorder()
    entered: list[str] = []

    def collected(phase: str, _: object) -> None:
        if phase == "stop" and len(entered) < 200:
            entered.append(phase)
            run.start_span("collected").finish()

    before = gc.get_threshold()
    with recorder.run() as run:
        gc.callbacks.append(collected)
        gc.set_threshold(1)
        try:
            while len(entered) < 200:
                with run.span("kept", {"values": [[]]}):
                    pass
        finally:
            gc.callbacks.remove(collected)
            gc.set_threshold(*before)

    assert len(recorder.spans_named("collected")) == 200
    recorder.assert_all_ended()
