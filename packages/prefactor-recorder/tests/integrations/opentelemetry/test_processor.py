"""OpenTelemetry spans become spans of a run."""

import os
import threading
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import set_span_in_context

from otel_fixture import AGENT, CHAT, TOOL, one, tracing
from prefactor_recorder.guard import failures
from prefactor_recorder.integrations.opentelemetry import (
    SPAN_TYPES,
    PrefactorSpanProcessor,
    is_genai_span,
)
from prefactor_recorder.testing import InMemoryRecorder


def at(second: int) -> int:
    """A moment in nanoseconds."""
    return (1_769_851_800 + second) * 1_000_000_000


def test_a_trace_becomes_a_run(recorder: InMemoryRecorder) -> None:
    """The spans of models, tools and agents make a run, and spans between them are skipped."""
    tracer = tracing(recorder)
    with tracer.start_as_current_span("GET /answer"):
        with tracer.start_as_current_span("invoke_agent helper", attributes=AGENT):
            with (
                tracer.start_as_current_span("retry"),
                tracer.start_as_current_span("attempt"),
                tracer.start_as_current_span("chat m-1", attributes=CHAT),
                tracer.start_as_current_span("POST"),
            ):
                pass
            with tracer.start_as_current_span("execute_tool find", attributes=TOOL):
                pass
        assert [run.status for run in recorder.runs] == ["active"]
        with tracer.start_as_current_span("chat m-1", attributes=CHAT):
            pass
    recorder.assert_tree("""
        run test-agent complete
          otel:agent complete
            otel:llm complete
            otel:tool complete
          otel:llm complete
    """)


def test_a_run_is_visible_while_its_agent_works(recorder: InMemoryRecorder) -> None:
    """The run begins with the first span that is recorded, not when one of them ends."""
    tracer = tracing(recorder)
    with tracer.start_as_current_span("GET /answer"):
        assert recorder.runs == []
        with tracer.start_as_current_span("invoke_agent helper", attributes=AGENT):
            assert [run.status for run in recorder.runs] == ["active"]
    assert [run.status for run in recorder.runs] == ["complete"]


def test_span_types_are_declared(recorder: InMemoryRecorder) -> None:
    """Runs are registered with a span type for each kind of span, each with title and template."""
    one(recorder, CHAT)
    declared = recorder.runs[0].registration["agent_schema_version"]["span_type_schemas"]
    assert {each["name"] for each in declared} >= {"otel:llm", "otel:tool", "otel:agent"}
    assert all(each["title"] and each["template"] for each in declared)
    assert len(declared) == len(SPAN_TYPES)


def test_spans_join_the_current_run(recorder: InMemoryRecorder) -> None:
    """Where one of our runs or spans is current, spans become its children, and no run is made."""
    tracer = tracing(recorder)
    with recorder.run("mine") as run:
        with run.span("agent:step"), tracer.start_as_current_span("a", attributes=AGENT):
            with run.span("agent:inner"), tracer.start_as_current_span("c", attributes=CHAT):
                pass
            with tracer.start_as_current_span("t", attributes=TOOL):
                pass
        with tracer.start_as_current_span("c", attributes=CHAT):
            pass
    recorder.assert_tree("""
        run mine complete
          agent:step complete
            agent:inner complete
              otel:llm complete
            otel:agent complete
              otel:tool complete
          otel:llm complete
    """)


def test_times_are_those_of_the_span(recorder: InMemoryRecorder) -> None:
    """A span that is reported late keeps its own times, to the microsecond."""
    tracer = tracing(recorder)
    span = tracer.start_span("c", attributes=CHAT, start_time=at(0) + 1_500)
    span.end(end_time=at(2))
    (recorded,) = recorder.spans
    assert recorded.started_at == datetime(2026, 1, 31, 9, 30, 0, 1, tzinfo=UTC)
    assert recorded.finished_at == datetime(2026, 1, 31, 9, 30, 2, tzinfo=UTC)


def test_late_attributes_are_kept(recorder: InMemoryRecorder) -> None:
    """Attributes set before the first child ended are in the payload, later ones in the result."""
    tracer = tracing(recorder)
    with tracer.start_as_current_span("work") as agent:
        agent.set_attribute("openinference.span.kind", "AGENT")
        agent.set_attribute("input.value", "Hello")
        tracer.start_span("c", attributes=CHAT).end()
        agent.set_attribute("gen_ai.conversation.id", "talk-1")
        agent.set_attribute("output.value", "Hi")
    recorded = recorder.span_named("otel:agent")
    assert recorded.payload["input"] == "Hello"
    assert recorded.result == {"conversation_id": "talk-1", "output": "Hi"}
    assert recorder.span_named("otel:llm").parent is recorded


def test_a_child_may_outlive_or_follow_its_parent(recorder: InMemoryRecorder) -> None:
    """Children that end, or even begin, after their parent has ended are still its children."""
    tracer = tracing(recorder)
    agent = tracer.start_span("a", attributes=AGENT)
    context = set_span_in_context(agent)
    late = tracer.start_span("c", context, attributes=CHAT)
    agent.end()
    late.end()
    tracer.start_span("t", context, attributes=TOOL).end()
    recorder.assert_tree("""
        run test-agent complete
          otel:agent complete
            otel:llm complete
            otel:tool complete
    """)


def test_spans_that_never_end_are_bounded(recorder: InMemoryRecorder) -> None:
    """Over the limit, the trace that was idle for longest is cancelled."""
    tracer = tracing(recorder, max_open=3)
    forgotten = tracer.start_span("a", attributes=AGENT)
    tracer.start_span("c", set_span_in_context(forgotten), attributes=CHAT).end()
    with tracer.start_as_current_span("a", attributes=AGENT):
        for _ in range(5):
            tracer.start_span("t", attributes=TOOL)
        tracer.start_span("c", attributes=CHAT).end()
    forgotten.end()
    recorder.assert_tree("""
        run test-agent cancelled
          otel:agent cancelled
            otel:llm complete
        run test-agent active
          otel:agent complete
            otel:llm complete
    """)


def test_an_id_may_be_used_twice(recorder: InMemoryRecorder) -> None:
    """A span with the id of the span around it replaces that one, and their run ends."""

    class OneId(RandomIdGenerator):
        def generate_span_id(self) -> int:
            return 1

    provider = TracerProvider(id_generator=OneId())
    provider.add_span_processor(PrefactorSpanProcessor(recorder))
    tracer = provider.get_tracer("test")
    with (
        tracer.start_as_current_span("invoke_agent helper", attributes=AGENT),
        tracer.start_as_current_span("chat m-1", attributes=CHAT),
    ):
        pass

    recorder.assert_tree("""
        run test-agent complete
          otel:llm complete
    """)


def test_shutdown_cancels_open_spans(recorder: InMemoryRecorder) -> None:
    """At shutdown open spans and runs are cancelled, and later spans are ignored."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(PrefactorSpanProcessor(recorder))
    tracer = provider.get_tracer("t")
    agent = tracer.start_span("a", attributes=AGENT)
    tracer.start_span("c", set_span_in_context(agent), attributes=CHAT).end()
    provider.shutdown()
    agent.end()
    tracer.start_span("c", attributes=CHAT).end()
    recorder.assert_tree("""
        run test-agent cancelled
          otel:agent cancelled
            otel:llm complete
    """)


def test_flushing_delivers(recorder: InMemoryRecorder) -> None:
    """`force_flush` flushes the recorder, and returns whether everything was delivered."""
    assert PrefactorSpanProcessor(recorder).force_flush(1000)


def test_it_works_beside_other_processors(recorder: InMemoryRecorder) -> None:
    """Other processors see every span, and ours sees the selected ones."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.add_span_processor(PrefactorSpanProcessor(recorder))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("GET /"):
        tracer.start_span("c", attributes=CHAT).end()
    assert len(exporter.get_finished_spans()) == 2
    assert len(recorder.spans) == 1


def test_a_predicate_chooses(recorder: InMemoryRecorder) -> None:
    """`select` decides which spans are recorded, and may call `is_genai_span`."""

    def select(span: ReadableSpan) -> bool:
        return span.name.startswith("job") or (is_genai_span(span) and "skip" not in span.name)

    tracer = tracing(recorder, select=select)
    with tracer.start_as_current_span("job nightly"):
        tracer.start_span("skip this", attributes=CHAT).end()
        tracer.start_span("c", attributes=CHAT).end()
    recorder.assert_tree("""
        run test-agent complete
          otel:step complete
            otel:llm complete
    """)


def test_the_host_makes_the_runs(recorder: InMemoryRecorder) -> None:
    """`run` creates the run of a trace, with an agent and version of the host's choice."""

    def run(span: ReadableSpan) -> Any:
        return recorder.run((span.attributes or {})["gen_ai.agent.name"], version="2")

    with tracing(recorder, run=run).start_as_current_span("a", attributes=AGENT):
        pass
    assert recorder.runs[0].agent_id == "helper"
    assert recorder.runs[0].registration["agent_version"] == {"external_identifier": "2"}


def test_unsampled_spans_are_not_recorded(recorder: InMemoryRecorder) -> None:
    """The tracer's sampler decides for this processor, too."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(PrefactorSpanProcessor(recorder))
    provider.get_tracer("t").start_span("c", attributes=CHAT).end()
    assert recorder.runs == []


def test_a_terminated_run_stops_recording_and_nothing_else(recorder: InMemoryRecorder) -> None:
    """Spans in a terminated run raise nothing in the host's code."""
    tracer = tracing(recorder)
    with recorder.run("mine") as run:
        recorder.terminate(run, "too dear")
        with tracer.start_as_current_span("c", attributes=CHAT):
            pass
    assert recorder.spans == []


def test_threads_may_trace_at_once(recorder: InMemoryRecorder) -> None:
    """Traces of several threads are kept apart, and each span has the right parent."""
    tracer = tracing(recorder)

    def work(number: int) -> None:
        with tracer.start_as_current_span(f"agent {number}", attributes=AGENT):
            for _ in range(20):
                tracer.start_span(f"call {number}", attributes=CHAT).end()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.assert_all_ended()
    assert len(recorder.runs) == 8
    for run in recorder.runs:
        (number,) = {span.payload["name"].split()[1] for span in run.spans}
        assert len(run.spans) == 21, number


def test_a_forked_child_traces_for_itself(recorder: InMemoryRecorder) -> None:
    """A child forked while a thread traced is not stuck, and ends no span of its parent."""
    processor = PrefactorSpanProcessor(recorder)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with processor._lock:
            held.set()
            go.wait(30)

    thread = threading.Thread(target=hold)
    agent = tracer.start_span("a", attributes=AGENT)
    thread.start()
    held.wait(30)
    with warnings.catch_warnings():
        # This test forks a process that has threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            agent.end()
            tracer.start_span("c", attributes=CHAT).end()
        finally:
            os._exit([span.schema_name for span in recorder.spans] != ["otel:llm"])
    go.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    agent.end()
    assert [span.schema_name for span in recorder.spans] == ["otel:agent"]


@pytest.mark.parametrize("option", ["select", "run"])
def test_a_failing_callback_does_not_stop_tracing(recorder: InMemoryRecorder, option: str) -> None:
    """If the host's predicate or run factory fails, tracing continues unrecorded."""

    def broken(span: ReadableSpan) -> Any:
        raise ValueError(span.name)

    failed = failures.count
    with tracing(recorder, **{option: broken}).start_as_current_span("c", attributes=CHAT):
        pass
    assert recorder.spans == []
    assert failures.count > failed
    failures.count = failed
