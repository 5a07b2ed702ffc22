"""OpenAI Agents SDK: what its runner, agents, models and tools do, as spans.

    record_agents()
    with recorder.run("support-bot"):
        await Runner.run(agent, "Where is my order?")

Needs openai-agents: `pip install "openai-agents>=0.1"`.
"""

from __future__ import annotations

import sys
import traceback
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.guard import guarded
from prefactor_recorder.integrations._common.optional import missing_library
from prefactor_recorder.outcome import CANCELLATIONS, MAX_STACK

try:
    import agents
    from agents.tracing import TracingProcessor
except ModuleNotFoundError as error:
    raise missing_library("openai-agents>=0.1") from error

from prefactor_recorder.integrations._common.payloads import without_empty
from prefactor_recorder.integrations._common.steps import OpenSteps
from prefactor_recorder.integrations.openai_agents.payloads import (
    end_result,
    failure,
    plain,
    start_payload,
)
from prefactor_recorder.integrations.openai_agents.span_types import (
    CUSTOM,
    SPAN_TYPES,
    TRACE,
    TYPE_BY_KIND,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prefactor_recorder.integrations._common.steps import Step
    from prefactor_recorder.outcome import Status
    from prefactor_recorder.recorder import Recorder
    from prefactor_recorder.span import Span

__all__ = [
    "SPAN_TYPES",
    "PrefactorTracingProcessor",
    "StopWhenTerminated",
    "record_agents",
]

FLUSH_TIMEOUT = 5.0
"""Seconds that `agents.flush_traces()` may wait for delivery."""


class PrefactorTracingProcessor(TracingProcessor):
    """Records every trace and span of the Agents SDK as a span, each below the one it belongs to.

    Inside of `with recorder.run(...)` a trace belongs to that run, below the span that is current
    there; outside, each trace becomes a run of its own if a recorder was given, and is not recorded
    else. What the SDK leaves out of its spans (`trace_include_sensitive_data`) is not recorded.

    The SDK keeps everything that a processor raises from the host: pass `StopWhenTerminated` to the
    runner if a terminated run is to stop there.

    Args:
        recorder: Opens a run for each trace that begins outside of every run.
        agent_id: The agent of such runs; by default the recorder's.
        version: Its version, as `recorder.run` takes it.
    """

    def __init__(
        self,
        recorder: Recorder | None = None,
        *,
        agent_id: str | None = None,
        version: str | Mapping[str, Any] | None = None,
    ) -> None:
        self._recorder = recorder
        self._steps = OpenSteps(recorder, agent_id=agent_id, version=version, types=SPAN_TYPES)

    def step(self) -> AbstractContextManager[Span | None]:
        """Make the span of the SDK that the calling code is in the current span, for a block.

        For the code of tools: what the block records is below the tool's span. Gives None,
        and changes nothing, in code that the SDK has not called.
        """
        step = self._current()
        return nullcontext() if step is None else step.span.current()

    def check(self) -> None:
        """Raise if the run has been terminated that the calling code's trace is recorded in.

        Raises:
            RunTerminated: It has, and the recorder has no `on_terminated`.
        """
        step = self._current()
        if step is not None and step.span.run.terminated:
            step.span.run.report_termination()

    @guarded
    def on_trace_start(self, trace: agents.Trace) -> None:
        """A workflow begins."""
        self._open(trace.trace_id, None, TRACE, lambda: _trace_payload(trace), None)

    @guarded
    def on_trace_end(self, trace: agents.Trace) -> None:
        """It has ended."""
        step = self._steps.get(trace.trace_id)
        if step is None:
            return
        # A trace does not say how it went, and a task neither when it is streamed. What they were
        # left by does, else the last agent in them.
        status, error = _outcome(None, step.notes["raised"])
        if error is None:
            status = step.notes.get("last", status)
        self._steps.close(trace.trace_id, lambda _: without_empty(error=error), status=status)

    @guarded
    def on_span_start(self, span: agents.Span[Any]) -> None:
        """A step of it begins."""
        data = span.span_data
        parent = span.parent_id
        parent_key = parent if parent is not None and self._steps.get(parent) else span.trace_id
        schema_name = TYPE_BY_KIND.get(data.type, CUSTOM)
        began = _datetime(span.started_at)
        step = self._open(span.span_id, parent_key, schema_name, lambda: start_payload(data), began)
        if step is not None and self._steps.get(span.trace_id) is None:
            # A trace that goes on from an earlier process: nobody said that it began.
            step.notes["stands_for"] = span.trace_id
            self._steps.alias(span.trace_id, span.span_id)

    @guarded
    def on_span_end(self, span: agents.Span[Any]) -> None:
        """It has ended."""
        step = self._steps.get(span.span_id)
        if step is None:
            return
        notes, kind = step.notes, span.span_data.type
        status, error = _outcome(span.error, notes["raised"])
        if kind == "task" and error is None:
            status = notes.get("last", status)
        parent_step = self._steps.get(step.parent_key)
        if parent_step is not None and kind in {"agent", "task"}:
            parent_step.notes["last"] = status
        self._steps.close(notes.get("stands_for"))
        self._steps.close(
            span.span_id,
            lambda _: {
                **end_result(span.span_data, notes["payload"], failed=error is not None),
                **without_empty(error=error),
            },
            status=status,
            finished_at=_datetime(span.ended_at),
        )

    def shutdown(self) -> None:
        """Nothing: the recorder delivers what it has when the program ends."""

    def force_flush(self) -> None:
        """Deliver what waits, for at most 5 seconds; nothing without a recorder."""
        if self._recorder is not None:
            self._recorder.flush(FLUSH_TIMEOUT)

    def _current(self) -> Step | None:
        span, trace = agents.get_current_span(), agents.get_current_trace()
        return (None if span is None else self._steps.get(span.span_id)) or (
            None if trace is None else self._steps.get(trace.trace_id)
        )

    def _open(
        self,
        key: str,
        parent_key: str | None,
        schema_name: str,
        payload: Callable[[], dict[str, Any]],
        started_at: datetime | None,
    ) -> Step | None:
        made: dict[str, Any] = {}

        def make() -> dict[str, Any]:
            made.update(payload())
            return made

        try:
            step = self._steps.open(key, parent_key, schema_name, make, started_at=started_at)
        except RunTerminated:
            return None  # the SDK would log it, each time, and go on
        if step is not None:
            step.notes.update(payload=made, raised=sys.exception())
        return step


class StopWhenTerminated(agents.RunHooks[Any]):
    """Hooks that stop the runner when its run has been terminated: `Runner.run(..., hooks=...)`.

    Before each turn of an agent, model call and tool call, `RunTerminated` is raised in the runner
    and comes out of it. With hooks of your own, call `processor.check()` in them instead.

    Args:
        processor: What `record_agents` gave.
    """

    def __init__(self, processor: PrefactorTracingProcessor) -> None:
        self._processor = processor

    async def on_agent_start(self, *_: Any, **__: Any) -> None:
        """An agent takes over."""
        self._processor.check()

    async def on_llm_start(self, *_: Any, **__: Any) -> None:
        """A model is about to be called."""
        self._processor.check()

    async def on_tool_start(self, *_: Any, **__: Any) -> None:
        """A tool is about to be called."""
        self._processor.check()


def record_agents(
    recorder: Recorder | None = None,
    *,
    agent_id: str | None = None,
    version: str | Mapping[str, Any] | None = None,
    replace: bool = False,
) -> PrefactorTracingProcessor:
    """Record what the Agents SDK does, in this process, from now on.

    Args:
        recorder: As for `PrefactorTracingProcessor`.
        agent_id: As there.
        version: As there.
        replace: Take the place of all other processors, OpenAI's own exporter among them: nothing
            is sent to OpenAI's dashboard then. By default they stay.

    Returns:
        The processor, for `step()` and `StopWhenTerminated`.
    """
    processor = PrefactorTracingProcessor(recorder, agent_id=agent_id, version=version)
    if replace:
        agents.set_trace_processors([processor])
    else:
        agents.add_trace_processor(processor)
    return processor


def _trace_payload(trace: agents.Trace) -> dict[str, Any]:
    """The payload of a trace."""
    more = {name: plain(getattr(trace, name, None)) for name in ("group_id", "metadata")}
    return {"name": trace.name, "trace_id": trace.trace_id, **without_empty(**more)}


def _outcome(
    reported: Any, raised_before: BaseException | None
) -> tuple[Status, dict[str, str] | None]:
    """How a span or trace ended: by what the SDK says, and by what is being raised through it.

    The SDK marks some failures and no cancellations. Both leave their block by an exception, which
    is still on its way while the end is reported; one that was on its way before has another cause.
    """
    raised = sys.exception()
    if raised is raised_before:
        raised = None
    if reported is None and (raised is None or isinstance(raised, CANCELLATIONS)):
        return ("complete" if raised is None else "cancelled"), None
    kind = "" if raised is None else type(raised).__qualname__
    stack = "" if raised is None else "".join(traceback.format_tb(raised.__traceback__))
    return "failed", failure(reported, kind, stack[-MAX_STACK:])


def _datetime(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
