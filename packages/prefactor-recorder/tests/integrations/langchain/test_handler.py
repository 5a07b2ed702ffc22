"""Steps of LangChain become nested spans."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.callbacks import adispatch_custom_event
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool

from langchain_fixture import SEQUENCE, answering, asking, config
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.guard import failures
from prefactor_recorder.integrations._common.steps import MAX_OPEN
from prefactor_recorder.integrations.langchain import PrefactorCallbackHandler
from prefactor_recorder.run import Run, current_span
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import name_of, outline, the_span


def test_a_chain_is_a_tree_of_spans(recorder: InMemoryRecorder, handler: Any) -> None:
    """Each step of a chain is a child span with its input and output."""
    with recorder.run():
        answer = asking(answering("Hi")).invoke({"question": "Hello"}, config(handler))

    assert answer == "Hi"
    assert outline(recorder) == SEQUENCE
    chain = the_span(recorder, "langchain:chain", "RunnableSequence")
    assert chain.payload["inputs"] == {"question": "Hello"}
    assert chain.result == {"outputs": "Hi"}


def test_a_call_is_a_child_of_the_current_span(recorder: InMemoryRecorder, handler: Any) -> None:
    """A call inside of a span of the host becomes that span's child."""
    with recorder.run() as run, run.span("outer"):
        RunnableLambda(str).invoke(1, config(handler, run_name="inner"))

    assert outline(recorder) == ["outer complete", "  chain inner complete"]


def test_a_failure_is_recorded_at_every_level(recorder: InMemoryRecorder, handler: Any) -> None:
    """The step that raised and those around it have failed; the exception propagates."""
    with recorder.run(), pytest.raises(ValueError, match="rate limit"):
        asking(answering(ValueError("rate limit"))).invoke({"question": "?"}, config(handler))

    assert outline(recorder) == [
        "chain RunnableSequence failed",
        "  chain ChatPromptTemplate complete",
        "  llm GenericFakeChatModel failed",
    ]
    error = the_span(recorder, "langchain:llm").result["error"]
    assert (error["error_type"], error["message"]) == ("ValueError", "rate limit")
    assert "in each" in error["stacktrace"]


def test_each_attempt_is_a_span(recorder: InMemoryRecorder, handler: Any) -> None:
    """Each attempt of a retried step is a span, and failed attempts have failed."""
    attempts: list[int] = []

    def flaky(_: Any) -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("again")
        return "done"

    step = RunnableLambda(flaky).with_retry(
        retry_if_exception_type=(OSError,), wait_exponential_jitter=False, stop_after_attempt=5
    )
    with recorder.run():
        assert step.invoke(1, config(handler)) == "done"

    assert outline(recorder) == [
        "chain flaky complete",
        "  chain flaky failed",
        "  chain flaky failed",
        "  chain flaky complete",
    ]
    assert recorder.spans[-1].payload["tags"] == ["retry:attempt:3"]


@pytest.mark.parametrize("within", [False, True])
async def test_fallbacks_are_children_of_their_step(
    recorder: InMemoryRecorder, handler: Any, within: bool
) -> None:
    """The model that failed and its fallback are both children of their step."""
    model: Any = answering(ValueError("busy")).with_fallbacks([answering("Hi"), answering("Hi")])
    chain = asking(model) if within else model
    with recorder.run():
        chain.invoke({"question": "?"} if within else "?", config(handler))

    expected = [
        "chain RunnableWithFallbacks complete",
        "  llm GenericFakeChatModel failed",
        "  llm GenericFakeChatModel complete",
    ]
    if within:
        indented = ["  " + line for line in expected]
        expected = [*SEQUENCE[:2], *indented, SEQUENCE[3]]
    assert outline(recorder) == expected


async def test_a_cancelled_call_is_cancelled(recorder: InMemoryRecorder, handler: Any) -> None:
    """Every step that a cancelled task was in is recorded as cancelled."""
    begun = asyncio.Event()

    async def slow(_: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    chain = RunnableLambda(slow, name="slow") | StrOutputParser()
    async with recorder.run():
        task = asyncio.create_task(chain.ainvoke(1, config(handler)))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert outline(recorder) == ["chain RunnableSequence cancelled", "  chain slow cancelled"]


@pytest.mark.parametrize("count", [20])
async def test_one_handler_serves_many_calls_at_once(
    recorder: InMemoryRecorder, handler: Any, count: int
) -> None:
    """Calls from threads and tasks are kept apart, each as a whole tree."""
    chain = asking(RunnableLambda(lambda prompt: AIMessage(prompt.to_string())))
    questions = [{"question": str(number)} for number in range(count)]
    async with recorder.run() as run:
        with run.span("threads"):
            chain.batch(questions, config(handler, max_concurrency=4))
        async with run.span("tasks"):
            await chain.abatch(questions, config(handler))

    tree = outline(recorder, ordered=False)
    whole = [
        "  chain RunnableSequence complete",
        "    chain ChatPromptTemplate complete",
        "    chain RunnableLambda complete",
        "    chain StrOutputParser complete",
    ]
    assert tree == ["tasks complete", *whole * count, "threads complete", *whole * count]
    by_id = {each.id: each for each in recorder.spans}
    for each in by_id.values():
        if name_of(each) == "StrOutputParser":
            chain_around = by_id[each.parent_id]
            asked = chain_around.payload["inputs"]["question"]
            assert each.result["outputs"] == f"Human: {asked}"
    assert len(handler._steps) == 0


def test_parallel_branches_are_siblings(recorder: InMemoryRecorder, handler: Any) -> None:
    """Steps that run side by side have the same parent."""
    both = RunnableParallel(
        left=RunnableLambda(str, name="left"), right=RunnableLambda(str, name="right")
    )
    with recorder.run():
        both.invoke(1, config(handler))

    (top, *branches) = outline(recorder, ordered=False)
    assert top.startswith("chain RunnableParallel")
    assert branches == ["  chain left complete", "  chain right complete"]


def test_the_code_of_a_tool_can_record_below_it(recorder: InMemoryRecorder, handler: Any) -> None:
    """In `handler.step()`, the host's spans and calls are children of the tool's span."""
    outside: list[Any] = []

    @tool
    def look() -> str:
        """Look around."""
        with handler.step() as step, step.run.span("mine"):
            return asking(answering("Hi")).invoke({"question": "?"}, config(handler))

    with recorder.run():
        look.invoke({}, config(handler))
        with handler.step() as nothing:
            outside += [nothing, current_span()]

    assert outline(recorder) == [
        "tool look complete",
        "  mine complete",
        *("    " + line for line in SEQUENCE),
    ]
    assert outside == [None, None]


async def test_events_of_the_host_are_recorded(recorder: InMemoryRecorder, handler: Any) -> None:
    """An event that the host dispatches is a span below the step that it was dispatched in."""

    async def work(_: Any) -> str:
        await adispatch_custom_event("progress", {"done": 1})
        return "done"

    async with recorder.run():
        await RunnableLambda(work).ainvoke(1, config(handler))

    assert outline(recorder) == ["chain work complete", "  event progress complete"]
    assert the_span(recorder, "langchain:event").payload["data"] == {"done": 1}


def test_a_call_outside_of_every_run_opens_one(recorder: InMemoryRecorder) -> None:
    """With a recorder, such a call is a separate run that ends with the call."""
    handler = PrefactorCallbackHandler(recorder, agent_id="a", version="2")
    asking(answering("Hi")).invoke({"question": "1"}, config(handler))
    with pytest.raises(ValueError, match="no"):
        asking(answering(ValueError("no"))).invoke({"question": "2"}, config(handler))

    first, second = recorder.runs
    assert first.agent_id == "a"
    assert first.registration["agent_version"] == {"external_identifier": "2"}
    declared = first.registration["agent_schema_version"]["span_type_schemas"]
    assert "langchain:llm" in {each["name"] for each in declared}
    assert [each.status for each in recorder.runs] == ["complete", "failed"]
    assert outline(recorder)[:4] == SEQUENCE
    assert [each.run for each in recorder.spans] == [first] * 4 + [second] * 3


def test_a_call_outside_of_every_run_is_not_recorded(
    recorder: InMemoryRecorder, handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a recorder the call works unrecorded, and one warning says what to do."""
    for _ in range(2):
        assert asking(answering("Hi")).invoke({"question": "1"}, config(handler)) == "Hi"

    assert recorder.runs == []
    assert len(handler._steps) == 0
    assert caplog.text.count("outside a run") <= 1


def test_a_run_that_is_not_sampled_stays_so(recorder: InMemoryRecorder) -> None:
    """Inside an unrecorded run, a call neither records nor opens another run."""
    handler = PrefactorCallbackHandler(recorder)
    with Run(None, "", None, None):
        assert asking(answering("Hi")).invoke({"question": "1"}, config(handler)) == "Hi"

    assert recorder.runs == []
    assert len(handler._steps) == 0


def test_streams_may_be_collected_anywhere(recorder: InMemoryRecorder) -> None:
    """A garbage-collected stream ends its spans wherever the collector runs, even in the recorder.

    With a lock that a thread cannot enter twice, this test would hang.
    """
    handler = PrefactorCallbackHandler(recorder)
    chain = RunnableLambda(str, name="a") | RunnableLambda(iter, name="b")

    def work() -> None:
        for _ in range(25):
            stream: list[Any] = [chain.stream("pieces", config(handler))]
            next(stream[0])
            stream.append(stream)  # a cycle, which only the collector finds

    before = gc.get_threshold()
    gc.set_threshold(20)
    try:
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work) for _ in range(4)]:
                done.result()
    finally:
        gc.set_threshold(*before)
    gc.collect()

    assert len(recorder.runs) == 100
    recorder.assert_all_ended()
    assert len(handler._steps) == 0


async def test_a_terminated_run_stops_the_chain(recorder: InMemoryRecorder, handler: Any) -> None:
    """The next step raises in the host's own code, in synchronous and asynchronous calls."""
    chain = asking(answering("one", "two"))
    with recorder.run() as run:

        def terminate(given: Any) -> Any:
            run.mark_terminated("enough")
            return given

        stopped = RunnableLambda(terminate) | chain
        with pytest.raises(RunTerminated, match="enough"):
            stopped.invoke({"question": "?"}, config(handler))
        with pytest.raises(RunTerminated, match="enough"):
            await chain.ainvoke({"question": "?"}, config(handler))

    assert outline(recorder) == ["chain RunnableSequence failed", "  chain terminate complete"]
    assert len(handler._steps) == 0


def test_the_handler_raises_nothing_else(recorder: InMemoryRecorder, handler: Any) -> None:
    """Unrecordable values and invalid calls raise nothing in the host."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("not even this")

    notes_result = failures.count
    with recorder.run():
        RunnableLambda(lambda _: Odd()).invoke(Odd(), config(handler))
        handler.on_stream_event(None, run_id=None)
        handler.on_llm_end(None, run_id=None)

    assert outline(recorder) == ["chain RunnableLambda complete"]
    assert failures.count == notes_result + 1


def test_an_id_may_be_used_twice(recorder: InMemoryRecorder, handler: Any) -> None:
    """A call inside of another with the same id is that one's child, and both are recorded."""
    run_id = uuid4()
    inner = RunnableLambda(lambda number: number + 1)

    def outer(number: int) -> int:
        return inner.invoke(number, config(handler, run_id=run_id, run_name="inner")) + 1

    with recorder.run():
        assert RunnableLambda(outer).invoke(1, config(handler, run_id=run_id)) == 3

    assert outline(recorder) == ["chain outer complete", "  chain inner complete"]
    assert the_span(recorder, "langchain:chain", "outer").result == {"outputs": 3}
    assert len(handler._steps) == 0


def test_steps_with_one_id_are_bounded(recorder: InMemoryRecorder, handler: Any) -> None:
    """Over the limit, steps that use one id and never end are dropped as well."""
    with recorder.run():
        for _ in range(MAX_OPEN + 1):
            handler.on_tool_start({}, "", run_id="one", parent_run_id=None)

    assert len(handler._steps) <= MAX_OPEN
    assert recorder.spans[0].status == "cancelled"


def test_steps_that_never_end_are_bounded(recorder: InMemoryRecorder, handler: Any) -> None:
    """Over the limit, the step that was idle for longest is dropped, and active ones stay."""
    with recorder.run():
        handler.on_chain_start({}, {}, run_id="idle", name="idle")
        handler.on_chain_start({}, {}, run_id="used", name="used")
        for number in range(MAX_OPEN):
            handler.on_tool_start({}, "", run_id=number, parent_run_id="used")

    assert len(handler._steps) == MAX_OPEN
    given_up = [each for each in recorder.spans if each.finished_at]
    assert [name_of(each) for each in given_up[:1]] == ["idle"]
    assert given_up[0].status == "cancelled"
    assert given_up[0].result == {"unfinished": "its end was never reported"}
    assert handler._steps.get("used") is not None
