"""A workflow is recorded in the current run, or in a separate run."""

from typing import Any

import agents
import pytest
from agents import (
    MaxTurnsExceeded,
    Runner,
    function_tool,
)

from agents_fixture import AGENT, add, agent, calling, saying
from model_api import model_api
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.integrations.openai_agents import (
    StopWhenTerminated,
    record_agents,
)
from prefactor_recorder.run import Run, current_span
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import outline, the_span

__all__ = ["model_api"]


async def test_a_workflow_outside_of_every_run_opens_one(recorder: InMemoryRecorder) -> None:
    """With a recorder, a trace is a separate run that ends with the workflow."""
    processor = record_agents(recorder, agent_id="a", version="2", replace=True)
    await Runner.run(agent(calling("add", a=1, b=2), saying("3"), tools=[add]), "1 + 2?")
    with pytest.raises(MaxTurnsExceeded):
        await Runner.run(agent(calling("add", a=1, b=2), tools=[add]), "1 + 2?", max_turns=1)

    first, second = recorder.runs
    assert first.agent_id == "a"
    assert first.registration["agent_version"] == {"external_identifier": "2"}
    assert len(first.registration["agent_schema_version"]["span_type_schemas"]) == 13
    assert (first.status, second.status) == ("complete", "failed")
    assert outline(recorder)[:6] == AGENT
    assert len(processor._steps) == 0


async def test_a_streamed_workflow_that_fails_fails_its_run(recorder: InMemoryRecorder) -> None:
    """A stream's trace ends without an exception, so its last part decides the status."""
    record_agents(recorder, replace=True)
    bot = agent(calling("add", a=1, b=2), calling("add", a=1, b=2), tools=[add])
    running = Runner.run_streamed(bot, "1 + 2?", max_turns=1)
    with pytest.raises(MaxTurnsExceeded):
        async for _ in running.stream_events():
            pass

    assert recorder.runs[0].status == "failed"


async def test_a_workflow_outside_of_every_run_is_not_recorded(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """Without a recorder, or in an unsampled run, nothing is recorded or kept."""
    await Runner.run(agent(saying("Hi")), "Hello")
    with Run(None, "", None, None):
        await Runner.run(agent(saying("Hi")), "Hello")

    assert recorder.runs == []
    assert len(processor._steps) == 0


async def test_the_code_of_a_tool_can_record_below_it(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """In `processor.step()`, spans of the host are children of the tool's."""

    @function_tool
    async def look() -> str:
        """Look around."""
        with processor.step() as step, step.run.span("mine"):
            return "nothing"

    with recorder.run():
        await Runner.run(agent(calling("look"), saying("done"), tools=[look]), "Look")
        with processor.step() as outside:
            assert outside is None
            assert current_span() is None

    assert the_span(recorder, "mine").parent is the_span(recorder, "openai_agents:tool")


async def test_a_terminated_run_stops_the_runner(
    recorder: InMemoryRecorder, processor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With the hooks, the runner raises at its next step; without them, it only stops recording."""
    with recorder.run() as run:

        @function_tool
        def stop() -> str:
            """Stop."""
            recorder.terminate(run, "enough")
            return ""

        bot = agent(calling("stop"), saying("never"), tools=[stop])
        with pytest.raises(RunTerminated, match="enough"):
            await Runner.run(bot, "Stop", hooks=StopWhenTerminated(processor))
        recorded = len(recorder.spans)
        await Runner.run(agent(saying("Hi")), "Hello")

    assert len(recorder.spans) == recorded
    assert the_span(recorder, "openai_agents:trace").status == "failed"
    assert "Error in trace processor" not in caplog.text
    assert len(processor._steps) == 0


async def test_a_terminated_workflow_opens_no_run(recorder: InMemoryRecorder) -> None:
    """What begins in a terminated workflow opens no new run."""
    record_agents(recorder, replace=True)
    with agents.trace("work"):
        recorder.terminate(processor_run(), "enough")
        await Runner.run(agent(saying("Hi")), "Hello")

    assert len(recorder.runs) == 1
    assert [each.schema_name for each in recorder.spans] == ["openai_agents:trace"]


def processor_run() -> Run:
    """The run that the calling code's trace is recorded in."""
    (processor,) = agents.tracing.get_trace_provider()._multi_processor._processors
    with processor.step() as span:
        return span.run
