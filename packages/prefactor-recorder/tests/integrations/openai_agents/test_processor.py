"""Workflows of the OpenAI Agents SDK become spans."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import agents
import orjson
import pytest
from agents import (
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    Runner,
    function_tool,
    input_guardrail,
)
from agents.tracing.span_data import SpanData
from agents.tracing.spans import SpanImpl

from agents_fixture import AGENT, add, agent, calling, saying
from model_api import model_api
from prefactor_recorder.integrations.openai_agents import (
    SPAN_TYPES,
    PrefactorTracingProcessor,
    record_agents,
)
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import outline, the_span

__all__ = ["model_api"]


@function_tool
def broken() -> str:
    """Fail."""
    raise ValueError("no luck")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_workflow_is_a_tree(
    recorder: InMemoryRecorder, processor: Any, streamed: bool
) -> None:
    """Agents, turns and tools are children of their callers, below the host's span."""
    bot = agent(calling("add", a=1, b=2), saying("3"), tools=[add])
    with recorder.run() as run, run.span("outer"):
        if streamed:
            running = Runner.run_streamed(bot, "1 + 2?")
            async for _ in running.stream_events():
                pass
        else:
            await Runner.run(bot, "1 + 2?")

    assert outline(recorder) == ["outer complete", *("  " + line for line in AGENT)]
    tool = the_span(recorder, "openai_agents:tool")
    assert tool.payload == {"name": "add"}
    assert tool.result == {"arguments": {"a": 1, "b": 2}, "output": 3}
    assert the_span(recorder, "openai_agents:agent").result == {"tools": ["add"]}
    assert the_span(recorder, "openai_agents:trace").payload["trace_id"].startswith("trace_")
    assert len(processor._steps) == 0


async def test_times_are_those_of_the_sdk(recorder: InMemoryRecorder, processor: Any) -> None:
    """Spans begin and end at the SDK's times, not when it reports them."""
    before = datetime.now(UTC)
    with recorder.run():
        await Runner.run(agent(saying("Hi")), "Hello")

    task = the_span(recorder, "openai_agents:task")
    assert before <= task.started_at <= task.finished_at <= datetime.now(UTC)


async def test_handoffs_and_guardrails_are_spans(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """Handoffs and guardrail results are recorded where they happen."""

    @input_guardrail
    async def polite(*_: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)

    other = agent(saying("Hi"), name="other")
    bot = agent(calling("transfer_to_other"), handoffs=[other], input_guardrails=[polite])
    with recorder.run():
        await Runner.run(bot, "Hello")

    assert outline(recorder)[1:] == [
        "  task Agent workflow complete",
        "    agent bot complete",
        "      turn complete",
        "        guardrail polite complete",
        "        handoff complete",
        "    agent other complete",
        "      turn complete",
    ]
    handoff = the_span(recorder, "openai_agents:handoff")
    assert handoff.payload == {"from_agent": "bot"}
    assert handoff.result == {"to_agent": "other"}
    assert the_span(recorder, "openai_agents:guardrail").result == {"triggered": False}


async def test_a_tripped_guardrail_fails_the_workflow(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """The guardrail's span says that it was triggered, and the spans that it ended have failed."""

    @input_guardrail
    async def strict(*_: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    with recorder.run(), pytest.raises(InputGuardrailTripwireTriggered):
        await Runner.run(agent(saying("Hi"), input_guardrails=[strict]), "Hello")

    assert the_span(recorder, "openai_agents:guardrail").result["triggered"] is True
    assert the_span(recorder, "openai_agents:trace").status == "failed"
    assert the_span(recorder, "openai_agents:trace").error["error_type"] == (
        "InputGuardrailTripwireTriggered"
    )


async def test_a_failing_tool_has_failed(recorder: InMemoryRecorder, processor: Any) -> None:
    """A failing tool fails its span, even if only the model sees the error and continues."""
    bot = agent(calling("broken"), saying("Sorry."), tools=[broken])
    with recorder.run():
        await Runner.run(bot, "Try")

    tool = the_span(recorder, "openai_agents:tool")
    assert tool.status == "failed"
    assert tool.error["message"].startswith("Error running tool")
    assert the_span(recorder, "openai_agents:trace").status == "complete"


async def test_a_workflow_that_raises_has_failed(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """A failed workflow has the exception's class and place, and the SDK's message."""
    bot = agent(calling("add", a=1, b=2), calling("add", a=1, b=2), tools=[add])
    with recorder.run(), pytest.raises(MaxTurnsExceeded):
        await Runner.run(bot, "1 + 2?", max_turns=1)

    failed = the_span(recorder, "openai_agents:agent")
    assert failed.status == "failed"
    assert failed.error["error_type"] == "MaxTurnsExceeded"
    assert failed.error["message"] == "Max turns exceeded"
    assert "run.py" in failed.error["stacktrace"]
    assert the_span(recorder, "openai_agents:turn").status == "complete"


async def test_an_earlier_exception_is_not_a_failure(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """A workflow that runs while the host handles an exception is judged by itself."""
    with recorder.run():
        try:
            raise LookupError("nothing there")
        except LookupError:
            await Runner.run(agent(saying("Hi")), "Hello")

    assert {each.status for each in recorder.spans} == {"complete"}


async def test_a_cancelled_workflow_is_cancelled(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """Every span that a cancelled task was in is recorded as cancelled."""
    start_payload = asyncio.Event()

    @function_tool
    async def slow() -> str:
        """Never end."""
        start_payload.set()
        await asyncio.Event().wait()
        return ""

    with recorder.run():
        task = asyncio.create_task(Runner.run(agent(calling("slow"), tools=[slow]), "Wait"))
        await start_payload.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert the_span(recorder, "openai_agents:agent").status == "cancelled"
    assert the_span(recorder, "openai_agents:trace").status == "cancelled"
    assert len(processor._steps) == 0


async def test_concurrent_workflows_are_kept_separate(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """One processor serves any number of workflows at once."""
    with recorder.run():
        await asyncio.gather(
            *(
                Runner.run(agent(calling("add", a=1, b=2), saying("3"), tools=[add]), "1 + 2?")
                for _ in range(10)
            )
        )

    turn, turn_with_tool = AGENT[5], AGENT[3:5]
    assert outline(recorder, ordered=False) == [*AGENT[:3], turn, *turn_with_tool] * 10


class Strange(SpanData):
    """An unknown kind of span."""

    type = "strange"

    def export(self) -> dict[str, Any]:
        """Return what it holds."""
        return {"a": 1}


def test_a_trace_from_another_process_is_a_run(recorder: InMemoryRecorder) -> None:
    """A trace continued from another process, with an unknown kind of span, is a run."""
    processor = PrefactorTracingProcessor(recorder)
    made: list[Any] = [
        SpanImpl("trace_old", name, parent, processor, Strange(), None)
        for name, parent in (("one", None), ("two", "lost"), ("three", "two"))
    ]
    for each in made:
        each.start()
    for each in reversed(made):
        each.finish()

    assert [each.status for each in recorder.runs] == ["complete"]
    assert outline(recorder) == [
        "custom strange complete",
        "  custom strange complete",
        "    custom strange complete",
    ]
    assert recorder.spans[0].payload == {"name": "strange", "data": {"a": 1}}
    assert len(processor._steps) == 0


def test_other_processors_stay_by_default(recorder: InMemoryRecorder) -> None:
    """The vendor's exporter stays by default, and `replace` removes it."""

    class Counting(PrefactorTracingProcessor):
        seen = 0

        def on_trace_start(self, trace: Any) -> None:
            type(self).seen += 1

    agents.set_trace_processors([Counting()])
    record_agents(recorder)
    with agents.trace("one"):
        pass
    record_agents(recorder, replace=True)
    with agents.trace("two"):
        pass

    assert Counting.seen == 1
    assert [each.payload["name"] for each in recorder.spans] == ["one", "two"]


def test_flushing_the_traces_delivers(
    recorder: InMemoryRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`agents.flush_traces()` flushes the recorder, and does nothing without one."""
    asked: list[Any] = []
    monkeypatch.setattr(InMemoryRecorder, "flush", lambda _, timeout: asked.append(timeout) or 0)
    record_agents(replace=True)
    agents.flush_traces()
    record_agents(recorder)
    agents.flush_traces()

    assert asked == [5.0]


def test_the_types_are_declared() -> None:
    """Each span type has a title and a summary template, and declares no risk."""
    declared = orjson.loads(SPAN_TYPES.schema_version() or b"")["span_type_schemas"]
    assert all(each["name"].startswith("openai_agents:") for each in declared)
    assert all(each["title"] and each["template"] for each in declared)
    assert not any("data_risk" in each for each in declared)
