"""What the OpenAI Agents SDK does, recorded through its own tracing."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import agents
import orjson
import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
    input_guardrail,
)
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tracing.span_data import SpanData
from agents.tracing.spans import SpanImpl
from openai import AsyncOpenAI

from model_api import ModelApi, model_api
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.integrations.openai_agents import (
    SPAN_TYPES,
    PrefactorTracingProcessor,
    StopWhenTerminated,
    record_agents,
)
from prefactor_recorder.run import Run, current_span
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import outline, the_span

__all__ = ["model_api"]


@pytest.fixture
def recorder() -> InMemoryRecorder:
    """A recorder to look at afterwards."""
    return InMemoryRecorder()


@pytest.fixture(autouse=True)
def _no_other_processor() -> Iterator[None]:
    """The vendor's exporter and what a test has set up are out of the way of the next test."""
    yield
    agents.set_trace_processors([])


@pytest.fixture
def processor() -> PrefactorTracingProcessor:
    """A processor that records inside of runs only, and is the only one."""
    return record_agents(replace=True)


@function_tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@function_tool
def broken() -> str:
    """Fail."""
    raise ValueError("no luck")


def calling(tool: str, **arguments: Any) -> list[Any]:
    """What a model says that calls a tool."""
    return [function_call(tool, arguments, call_id=f"call-{tool}")]


def saying(text: str) -> list[Any]:
    """What a model says that is done."""
    return [assistant_message(text)]


def agent(*says: list[Any], name: str = "bot", **more: Any) -> Agent[Any]:
    """An agent whose model says these things, one turn after the other."""
    return Agent(name=name, model=ScriptedModel(list(says)), **more)


AGENT = [
    "trace Agent workflow complete",
    "  task Agent workflow complete",
    "    agent bot complete",
    "      turn complete",
    "        tool add complete",
    "      turn complete",
]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_workflow_is_a_tree(
    recorder: InMemoryRecorder, processor: Any, streamed: bool
) -> None:
    """Agents, turns and tools are children of what they happen in, the whole of the host's span."""
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
    """Spans begin and end when the SDK says so, not when it reports it."""
    before = datetime.now(UTC)
    with recorder.run():
        await Runner.run(agent(saying("Hi")), "Hello")

    task = the_span(recorder, "openai_agents:task")
    assert before <= task.started_at <= task.finished_at <= datetime.now(UTC)


async def test_handoffs_and_guardrails_are_spans(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """Who hands over to whom, and what a guardrail found, is recorded where it happens."""

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
    """The guardrail's span says that it was triggered, and those that it ended have failed."""

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
    """Also when only the model is told, and the workflow goes on."""
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
    """With the class of what was raised, and where; in the words that the SDK finds for it."""
    bot = agent(calling("add", a=1, b=2), calling("add", a=1, b=2), tools=[add])
    with recorder.run(), pytest.raises(MaxTurnsExceeded):
        await Runner.run(bot, "1 + 2?", max_turns=1)

    failed = the_span(recorder, "openai_agents:agent")
    assert failed.status == "failed"
    assert failed.error["error_type"] == "MaxTurnsExceeded"
    assert failed.error["message"] == "Max turns exceeded"
    assert "run.py" in failed.error["stacktrace"]
    assert the_span(recorder, "openai_agents:turn").status == "complete"


async def test_what_was_going_wrong_before_is_no_failure(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """A workflow that the host runs while it handles an exception is judged by itself."""
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


async def test_concurrent_workflows_are_told_apart(
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


COMPLETION = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1-2026",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
RESPONSE = {
    "id": "r-1",
    "object": "response",
    "created_at": 1,
    "model": "m-1-2026",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "i-1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 5,
        "output_tokens": 2,
        "total_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
TOKENS = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


async def ask(api: ModelApi, model: Any, **more: Any) -> None:
    """Let an agent ask a model behind a real client."""
    async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key="sk-1", max_retries=0) as client:
        bot = Agent(name="bot", instructions="Be kind.", model=model("m-1", client))
        await Runner.run(bot, "Hello", **more)


async def test_a_call_of_chat_completions_tells_what_it_used(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """Model, messages, answer and tokens of a call; no address and no key."""
    model_api.answer(COMPLETION)
    with recorder.run():
        await ask(model_api, OpenAIChatCompletionsModel)

    call = the_span(recorder, "openai_agents:llm")
    assert call.payload["model"] == "m-1"
    assert call.result["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
    ]
    assert call.result["text"] == "Hi"
    assert call.result["token_usage"] == TOKENS
    assert model_api.url not in str(call)
    assert the_span(recorder, "openai_agents:task").result["totals"]["total_tokens"] == 7


async def test_a_call_of_responses_tells_what_it_used(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """The same of the other API, whose input is known to the SDK only at the end."""
    model_api.answer(RESPONSE)
    with recorder.run():
        await ask(model_api, OpenAIResponsesModel)

    call = the_span(recorder, "openai_agents:llm")
    assert call.result["model"] == "m-1-2026"
    assert call.result["messages"] == [{"role": "user", "content": "Hello"}]
    assert call.result["text"] == "Hi"
    assert call.result["token_usage"] == TOKENS
    assert "usage" not in call.result


async def test_a_streamed_call_is_one_span(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """The pieces of a streamed answer are put together, with the tokens told at the end."""
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1-2026"}
    deltas = [{"role": "assistant", "content": ""}, {"content": "H"}, {"content": "i"}]
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    model_api.answer(
        [
            *({**head, "choices": each} for each in choices),
            {**head, "choices": [], "usage": COMPLETION["usage"]},
            "[DONE]",
        ]
    )
    async with AsyncOpenAI(base_url=f"{model_api.url}/v1", api_key="sk-1") as client:
        bot = Agent(name="bot", model=OpenAIChatCompletionsModel("m-1", client))
        with recorder.run():
            running = Runner.run_streamed(bot, "Hello")
            async for _ in running.stream_events():
                pass

    call = the_span(recorder, "openai_agents:llm")
    assert call.result["text"] == "Hi"
    assert call.result["token_usage"] == TOKENS
    assert call.status == "complete"


async def test_a_failing_call_has_failed(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """With the vendor's exception and its message."""
    model_api.answer({"error": {"message": "no such model"}}, status=404)
    with recorder.run(), pytest.raises(Exception, match="no such model"):
        await ask(model_api, OpenAIResponsesModel)

    call = the_span(recorder, "openai_agents:llm")
    assert call.status == "failed"
    assert call.error["error_type"] == "NotFoundError"
    assert "no such model" in call.error["message"]
    assert the_span(recorder, "openai_agents:trace").status == "failed"


async def test_what_the_sdk_leaves_out_is_left_out(
    recorder: InMemoryRecorder, processor: Any, model_api: ModelApi
) -> None:
    """Without sensitive data no input, output or message of an exception is recorded."""
    config = RunConfig(trace_include_sensitive_data=False)
    model_api.answer(RESPONSE)
    model_api.answer({"error": {"message": "secret detail"}}, status=404)
    with recorder.run():
        await ask(model_api, OpenAIResponsesModel, run_config=config)
        with pytest.raises(Exception, match="secret detail"):
            await ask(model_api, OpenAIResponsesModel, run_config=config)

    everything = orjson.dumps([[each.payload, each.result] for each in recorder.spans]).decode()
    assert "Hello" not in everything
    assert '"Hi"' not in everything
    assert "secret detail" not in everything
    assert TOKENS in [each.result.get("token_usage") for each in recorder.spans]


async def test_a_workflow_outside_of_every_run_opens_one(recorder: InMemoryRecorder) -> None:
    """With a recorder, a trace is a run of its own, which ends as the workflow ends."""
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
    """The trace of a stream ends without an exception; its last part tells how it went."""
    record_agents(recorder, replace=True)
    bot = agent(calling("add", a=1, b=2), calling("add", a=1, b=2), tools=[add])
    running = Runner.run_streamed(bot, "1 + 2?", max_turns=1)
    with pytest.raises(MaxTurnsExceeded):
        async for _ in running.stream_events():
            pass

    assert recorder.runs[0].status == "failed"


async def test_a_workflow_outside_of_every_run_is_left_alone(
    recorder: InMemoryRecorder, processor: Any
) -> None:
    """Without a recorder nothing is recorded and nothing kept; in an unsampled run likewise."""
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
    """With the hooks the runner raises at its next step; without, it is only not recorded."""
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


async def test_a_terminated_run_of_its_own_opens_no_other(recorder: InMemoryRecorder) -> None:
    """What begins in a terminated workflow does not become a run by itself."""
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


def test_spans_of_the_host_are_recorded(recorder: InMemoryRecorder, processor: Any) -> None:
    """Custom spans, with what the host adds while they go on, and traces around several runs."""
    with recorder.run(), agents.trace("work", group_id="g", metadata={"user": "u"}) as trace:
        with agents.custom_span("step", {"a": 1}) as step:
            step.span_data.data["b"] = 2
        with agents.generation_span(
            input=[{"role": "user", "content": "Hi"}],
            model="m-1",
            model_config={"temperature": 0, "base_url": "https://x"},
        ) as call:
            call.span_data.output = [{"role": "assistant", "content": "Hello"}]
        with agents.mcp_tools_span(server="files") as listing:
            listing.span_data.result = ["read"]

    assert the_span(recorder, "openai_agents:trace").payload == {
        "name": "work",
        "trace_id": trace.trace_id,
        "group_id": "g",
        "metadata": {"user": "u"},
    }
    step_told = the_span(recorder, "openai_agents:custom")
    assert step_told.payload == {"name": "step", "data": {"a": 1}}
    assert step_told.result == {"data": {"a": 1, "b": 2}}
    call_told = the_span(recorder, "openai_agents:llm")
    assert call_told.payload == {
        "model": "m-1",
        "parameters": {"temperature": 0},
        "messages": [{"role": "user", "content": "Hi"}],
    }
    assert call_told.result == {
        "text": "Hello",
        "output": [{"role": "assistant", "content": "Hello"}],
    }
    assert the_span(recorder, "openai_agents:mcp_list").result == {"tools": ["read"]}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ([{"role": "assistant", "content": None}], None),
        ([{"type": "function_call"}, {"content": [{"text": "Hel"}, {"text": "lo"}]}], "Hello"),
        ([RESPONSE], "Hi"),
        ("no list", None),
    ],
)
def test_the_text_of_an_answer_is_found(
    recorder: InMemoryRecorder, processor: Any, output: Any, text: str | None
) -> None:
    """Whichever form a model class gives its answers in, and also if it gives none."""
    with recorder.run(), agents.trace("work"), agents.generation_span() as call:
        call.span_data.output = output

    assert the_span(recorder, "openai_agents:llm").result.get("text") == text
    assert the_span(recorder, "openai_agents:llm").status == "complete"


def test_speech_is_recorded_without_its_sound(recorder: InMemoryRecorder, processor: Any) -> None:
    """Of speech the words are kept, in both directions."""
    with recorder.run(), agents.trace("voice"):
        with agents.transcription_span(model="m-1", input="UklGRg==") as listener:
            listener.span_data.output = "Hello"
        with (
            agents.speech_group_span(input="Hi"),
            agents.speech_span(model="m-2", input="Hi") as said,
        ):
            said.span_data.output = "UklGRg=="

    assert the_span(recorder, "openai_agents:transcription").result == {"text": "Hello"}
    assert the_span(recorder, "openai_agents:speech").payload == {"model": "m-2", "input": "Hi"}
    assert "UklGRg" not in str([(each.payload, each.result) for each in recorder.spans])


class Strange(SpanData):
    """A kind of span that is not known here."""

    type = "strange"

    def export(self) -> dict[str, Any]:
        """What it holds."""
        return {"a": 1}


def test_spans_that_begin_elsewhere_find_a_place(recorder: InMemoryRecorder) -> None:
    """A trace that goes on from an earlier process, with a span of an unknown kind, is a run."""
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


def test_other_processors_stay_unless_told_otherwise(recorder: InMemoryRecorder) -> None:
    """By default the vendor's exporter stays; `replace` takes its place."""

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
    """`agents.flush_traces()` waits for the recorder; without one it does nothing."""
    asked: list[Any] = []
    monkeypatch.setattr(InMemoryRecorder, "flush", lambda _, timeout: asked.append(timeout) or 0)
    record_agents(replace=True)
    agents.flush_traces()
    record_agents(recorder)
    agents.flush_traces()

    assert asked == [5.0]


def test_the_types_are_declared() -> None:
    """Each span type has a title and a template for its line, and says nothing about risk."""
    declared = orjson.loads(SPAN_TYPES.schema_version() or b"")["span_type_schemas"]
    assert all(each["name"].startswith("openai_agents:") for each in declared)
    assert all(each["title"] and each["template"] for each in declared)
    assert not any("data_risk" in each for each in declared)
