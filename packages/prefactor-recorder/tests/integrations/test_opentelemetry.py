"""Spans of the real OpenTelemetry SDK, and the spans of ours they become."""

import json
import os
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context

from prefactor_recorder.guard import failures
from prefactor_recorder.integrations.opentelemetry import (
    SPAN_TYPES,
    PrefactorSpanProcessor,
    is_genai_span,
)
from prefactor_recorder.testing import InMemoryRecorder

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"}
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]
SAID = [{"role": "assistant", "parts": [{"type": "text", "content": "Hi there"}]}]
TOKENS = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


@pytest.fixture
def recorder() -> InMemoryRecorder:
    """A recorder to read the spans from."""
    return InMemoryRecorder()


@pytest.fixture(autouse=True)
def nothing_fails() -> Iterator[None]:
    """Nothing of the recorder fails meanwhile."""
    failed = failures.count
    yield
    assert failures.count == failed


def tracing(recorder: InMemoryRecorder, **options: Any) -> Tracer:
    """A tracer whose spans are recorded."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(PrefactorSpanProcessor(recorder, **options))
    return provider.get_tracer("test-scope")


def at(second: int) -> int:
    """A moment in nanoseconds."""
    return (1_769_851_800 + second) * 1_000_000_000


def one(recorder: InMemoryRecorder, attributes: dict[str, Any], *events: Any) -> Any:
    """What is recorded of one span with those attributes and events."""
    with tracing(recorder).start_as_current_span("a span", attributes=attributes) as span:
        for name, more in events:
            span.add_event(name, more)
    (recorded,) = recorder.spans
    return recorded


def test_a_trace_becomes_a_run(recorder: InMemoryRecorder) -> None:
    """The spans of models, tools and agents make a run; whatever lies between is looked through."""
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


def test_a_run_is_there_while_its_agent_works(recorder: InMemoryRecorder) -> None:
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


def test_inside_a_run_of_the_recorder_it_becomes_part_of_it(recorder: InMemoryRecorder) -> None:
    """Where a run or a span of ours is current, spans are its children, and no run is made."""
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
    """A span that is told late has the times it says, to the microsecond."""
    tracer = tracing(recorder)
    span = tracer.start_span("c", attributes=CHAT, start_time=at(0) + 1_500)
    span.end(end_time=at(2))
    (recorded,) = recorder.spans
    assert recorded.started_at == datetime(2026, 1, 31, 9, 30, 0, 1, tzinfo=UTC)
    assert recorded.finished_at == datetime(2026, 1, 31, 9, 30, 2, tzinfo=UTC)


def test_the_newer_attributes_are_read(recorder: InMemoryRecorder) -> None:
    """Messages as JSON, token counts, parameters and reasons become payload and result."""
    recorded = one(
        recorder,
        {
            **CHAT,
            "gen_ai.provider.name": "vendor",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.input.messages": json.dumps(ASKED),
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be kind"}]),
            "gen_ai.output.messages": json.dumps(
                [
                    {
                        "role": "assistant",
                        "parts": [
                            {"type": "text", "content": "Hi there"},
                            {"type": "tool_call", "id": "t", "name": "find", "arguments": {"q": 1}},
                        ],
                    }
                ]
            ),
            "gen_ai.tool.definitions": json.dumps([{"name": "find", "headers": {"k": "secret"}}]),
            "gen_ai.response.model": "m-1-2026",
            "gen_ai.response.id": "r-1",
            "gen_ai.response.finish_reasons": ["tool_calls"],
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 2,
            "gen_ai.usage.cache_read.input_tokens": 3,
            "gen_ai.conversation.id": "talk-1",
            "server.address": "vendor.example",
        },
    )
    otel = recorded.payload.pop("otel")
    assert len(otel["trace_id"]) == 32
    assert otel["scope"] == "test-scope"
    assert recorded.schema_name == "otel:llm"
    assert recorded.payload == {
        "name": "a span",
        "model": "m-1",
        "provider": "vendor",
        "system": [{"type": "text", "content": "Be kind"}],
        "messages": ASKED,
        "tools": [{"name": "find", "headers": "[removed]"}],
        "conversation_id": "talk-1",
        "parameters": {"temperature": 0.5},
        "attributes": {"server.address": "vendor.example"},
    }
    assert recorded.result is not None
    assert len(recorded.result.pop("messages")) == 1
    assert recorded.result == {
        "model": "m-1-2026",
        "response_id": "r-1",
        "text": "Hi there",
        "tool_calls": [{"id": "t", "name": "find", "arguments": {"q": 1}}],
        "finish_reason": "tool_calls",
        "usage": {"input_tokens": 5, "output_tokens": 2, "cache_read.input_tokens": 3},
        "token_usage": TOKENS,
    }


def test_sums_of_an_agent_are_no_tokens_of_its_own(recorder: InMemoryRecorder) -> None:
    """What an agent's span sums up is kept apart, so that nobody counts it twice."""
    recorded = one(recorder, {**AGENT, "gen_ai.usage.input_tokens": 5})
    assert recorded.result == {
        "totals": {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}
    }


OLDER = {"gen_ai.system": "vendor", "gen_ai.request.model": "m-1"}
OLDER_USAGE = {"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 2}
PLAIN = [{"role": "user", "content": "Hello"}]
REPLY = [{"role": "assistant", "content": "Hi there"}]
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "m-1",
    "llm.provider": "vendor",
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "Hello",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Hi there",
    "llm.token_count.prompt": 5,
    "llm.token_count.completion": 2,
    "llm.token_count.total": 7,
    "input.value": "Hello",
    "output.value": "Hi there",
}
FORMS: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = {
    "indexed": (
        {
            **OLDER,
            **OLDER_USAGE,
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "Hello",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "Hi there",
            "llm.usage.total_tokens": 7,
            "llm.request.type": "chat",
        },
        [],
    ),
    "plain": (
        {
            **OLDER,
            **OLDER_USAGE,
            "gen_ai.prompt": json.dumps(PLAIN),
            "gen_ai.completion": json.dumps(REPLY),
        },
        [],
    ),
    "content events": (
        {**OLDER, **OLDER_USAGE},
        [
            ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(PLAIN)}),
            ("gen_ai.content.completion", {"gen_ai.completion": json.dumps(REPLY)}),
        ],
    ),
    "message events": (
        {**OLDER, **OLDER_USAGE},
        [
            ("gen_ai.user.message", {"gen_ai.system": "vendor", "content": "Hello"}),
            ("gen_ai.choice", {"message": json.dumps({"content": "Hi there"})}),
        ],
    ),
    "details event": (
        {**OLDER, **OLDER_USAGE},
        [
            (
                "gen_ai.client.inference.operation.details",
                {
                    "gen_ai.input.messages": json.dumps(PLAIN),
                    "gen_ai.output.messages": json.dumps(REPLY),
                },
            )
        ],
    ),
    "OpenInference": (OPENINFERENCE, []),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_messages_is_read(recorder: InMemoryRecorder, form: str) -> None:
    """Whichever convention an instrumentation follows, the span says the same."""
    recorded = one(recorder, FORMS[form][0], *FORMS[form][1])
    assert recorded.schema_name == "otel:llm"
    assert recorded.payload["model"] == "m-1"
    assert recorded.payload["provider"] == "vendor"
    assert recorded.payload["messages"] == PLAIN
    assert recorded.result["text"] == "Hi there"
    assert recorded.result["messages"] == REPLY
    assert recorded.result["token_usage"] == TOKENS
    assert "attributes" not in recorded.payload


def test_openinference_tool_calls_are_read(recorder: InMemoryRecorder) -> None:
    """Tools, tool calls, contents and parameters lose the layers they are nested in."""
    call = "llm.output_messages.0.message.tool_calls.0.tool_call"
    part = "llm.input_messages.0.message.contents.0.message_content"
    recorded = one(
        recorder,
        {
            "openinference.span.kind": "LLM",
            f"{part}.type": "text",
            f"{part}.text": "Hello",
            "llm.input_messages.0.message.role": "user",
            f"{call}.id": "t-1",
            f"{call}.function.name": "find",
            f"{call}.function.arguments": '{"q": 1}',
            "llm.tools.0.tool.json_schema": '{"name": "find"}',
            "llm.invocation_parameters": '{"temperature": 0.5}',
        },
    )
    assert recorded.payload["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
    ]
    assert recorded.payload["tools"] == [{"name": "find"}]
    assert recorded.payload["parameters"] == {"temperature": 0.5}
    assert recorded.result["tool_calls"] == [{"id": "t-1", "name": "find", "arguments": {"q": 1}}]


@pytest.mark.parametrize(
    ("attributes", "name", "given", "came"),
    [
        (
            {
                **TOOL,
                "gen_ai.tool.call.id": "t-1",
                "gen_ai.tool.call.arguments": '{"q": 1}',
                "gen_ai.tool.call.result": '["a"]',
            },
            "otel:tool",
            {"q": 1},
            ["a"],
        ),
        (
            {
                "openinference.span.kind": "TOOL",
                "tool.name": "find",
                "input.value": '{"q": 1}',
                "output.value": "a",
            },
            "otel:tool",
            {"q": 1},
            "a",
        ),
        (
            {
                "traceloop.span.kind": "workflow",
                "traceloop.entity.input": "in",
                "traceloop.entity.output": "out",
            },
            "otel:chain",
            "in",
            "out",
        ),
    ],
)
def test_tools_and_chains_have_input_and_output(
    recorder: InMemoryRecorder,
    attributes: dict[str, Any],
    name: str,
    given: Any,
    came: Any,
) -> None:
    """What a tool or a chain was given and what came of it is taken apart if it is JSON."""
    recorded = one(recorder, attributes)
    assert recorded.schema_name == name
    assert recorded.payload["input"] == given
    assert recorded.result["output"] == came


def test_embeddings_and_retrievals_are_read(recorder: InMemoryRecorder) -> None:
    """An embedding keeps its texts and not its vectors; a retrieval keeps its documents."""
    tracer = tracing(recorder)
    embedding = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "e-1",
        "embedding.embeddings.0.embedding.text": "a",
        "embedding.embeddings.0.embedding.vector": [0.25, 0.5],
    }
    retrieval = {
        "openinference.span.kind": "RETRIEVER",
        "input.value": "query",
        "retrieval.documents.0.document.content": "found",
        "retrieval.documents.0.document.score": 0.9,
    }
    for attributes in (embedding, retrieval):
        tracer.start_span("s", attributes=attributes).end()
    embedded = recorder.span_named("otel:embedding")
    assert (embedded.payload["model"], embedded.payload["input"]) == ("e-1", ["a"])
    assert "vector" not in json.dumps(embedded.payload)
    retrieved = recorder.span_named("otel:retriever")
    assert retrieved.payload["input"] == "query"
    assert retrieved.result == {"documents": [{"content": "found", "score": 0.9}]}


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"gen_ai.operation.name": "embeddings"}, "otel:embedding"),
        ({"gen_ai.operation.name": "create_agent"}, "otel:agent"),
        ({"gen_ai.operation.name": "something new"}, "otel:step"),
        ({"gen_ai.request.model": "m-1"}, "otel:llm"),
        ({"openinference.span.kind": "GUARDRAIL"}, "otel:guardrail"),
        ({"openinference.span.kind": "UNKNOWN"}, "otel:step"),
        ({"traceloop.span.kind": "agent"}, "otel:agent"),
        ({"gen_ai.evaluation.name": "kind"}, "otel:step"),
    ],
)
def test_each_kind_has_its_span_type(
    recorder: InMemoryRecorder, attributes: dict[str, Any], name: str
) -> None:
    """What a span is decides its type, whichever attribute says it."""
    assert one(recorder, attributes).schema_name == name


def test_a_failure_is_told_by_its_exception(recorder: InMemoryRecorder) -> None:
    """A span with an error status has failed, with type, message and stack; so has the run."""
    tracer = tracing(recorder)
    with (
        pytest.raises(ValueError, match="not today"),
        tracer.start_as_current_span("c", attributes=CHAT),
    ):
        raise ValueError("not today")
    (recorded,) = recorder.spans
    assert recorded.status == "failed"
    assert recorded.error is not None
    assert recorded.error["error_type"] == "ValueError"
    assert recorded.error["message"] == "not today"
    assert "Traceback" in recorded.error["stacktrace"]
    assert recorder.runs[0].status == "failed"


def test_a_failure_without_an_exception_is_told_by_its_status(recorder: InMemoryRecorder) -> None:
    """Without an exception event, type and message are those of `error.type` and the status."""
    tracer = tracing(recorder)
    with tracer.start_as_current_span("a", attributes=AGENT):
        span = tracer.start_span("c", attributes={**CHAT, "error.type": "timeout"})
        span.set_status(Status(StatusCode.ERROR, "took too long"))
        span.end()
    failed = recorder.span_named("otel:llm")
    assert failed.error == {"error_type": "timeout", "message": "took too long", "stacktrace": ""}
    assert recorder.runs[0].status == "complete"


def test_a_cancellation_is_no_failure(recorder: InMemoryRecorder) -> None:
    """A span that ended by a cancellation is cancelled."""
    tracer = tracing(recorder)
    span = tracer.start_span("c", attributes=CHAT)
    span.add_event("exception", {"exception.type": "asyncio.exceptions.CancelledError"})
    span.set_status(StatusCode.ERROR)
    span.end()
    assert [each.status for each in recorder.spans] == ["cancelled"]


def test_attributes_that_come_late_are_kept(recorder: InMemoryRecorder) -> None:
    """What is said after the first child ended is in the result; before that, in the payload."""
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
    """Beyond the limit, whatever nothing has happened in for longest is given up as cancelled."""
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


def test_shutdown_ends_what_is_open(recorder: InMemoryRecorder) -> None:
    """At shutdown open spans and runs are cancelled; nothing is watched afterwards."""
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
    """`force_flush` is the recorder's flush, and says whether anything is left."""
    assert PrefactorSpanProcessor(recorder).force_flush(1000)


def test_it_works_beside_other_processors(recorder: InMemoryRecorder) -> None:
    """Another processor sees every span, ours those it takes."""
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
    """`select` decides which spans are recorded, and may ask `is_genai_span`."""

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
    """`run` makes the run of a trace, with the agent and version that the host wants."""

    def run(span: ReadableSpan) -> Any:
        return recorder.run((span.attributes or {})["gen_ai.agent.name"], version="2")

    with tracing(recorder, run=run).start_as_current_span("a", attributes=AGENT):
        pass
    assert recorder.runs[0].agent_id == "helper"
    assert recorder.runs[0].registration["agent_version"] == {"external_identifier": "2"}


def test_what_is_not_sampled_is_not_recorded(recorder: InMemoryRecorder) -> None:
    """The tracer's sampler decides for this processor, too."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(PrefactorSpanProcessor(recorder))
    provider.get_tracer("t").start_span("c", attributes=CHAT).end()
    assert recorder.runs == []


def test_a_terminated_run_stops_recording_and_nothing_else(recorder: InMemoryRecorder) -> None:
    """Spans in a run that was terminated raise nothing in the host's code."""
    tracer = tracing(recorder)
    with recorder.run("mine") as run:
        recorder.terminate(run, "too dear")
        with tracer.start_as_current_span("c", attributes=CHAT):
            pass
    assert recorder.spans == []


def test_threads_may_trace_at_once(recorder: InMemoryRecorder) -> None:
    """Traces of many threads stay apart, and every span of theirs is recorded below its own."""
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
        # Forking beside threads is what this is about.
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
def test_a_callback_that_fails_hurts_nobody(recorder: InMemoryRecorder, option: str) -> None:
    """When the host's predicate or its maker of runs fails, tracing goes on without us."""

    def broken(span: ReadableSpan) -> Any:
        raise ValueError(span.name)

    failed = failures.count
    with tracing(recorder, **{option: broken}).start_as_current_span("c", attributes=CHAT):
        pass
    assert recorder.spans == []
    assert failures.count > failed
    failures.count = failed
