"""Records runners, agents, models and tools of the OpenAI Agents SDK as spans.

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
from prefactor_recorder.outcome import MAX_STACK, is_cancellation

try:
    import agents
    from agents.tracing import TracingProcessor
except ModuleNotFoundError as error:
    raise missing_library("openai-agents>=0.1") from error

from prefactor_otel.json_values import without_empty
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
"""Maximum seconds that `agents.flush_traces()` waits for delivery."""


class PrefactorTracingProcessor(TracingProcessor):
    """Records every trace and span of the Agents SDK as a span, each below its parent.

    Inside `with recorder.run(...)`, a trace belongs to that run, below the current span. Outside,
    each trace becomes a separate run if a recorder was passed, and is not recorded otherwise.
    Data that the SDK leaves out of its spans (`trace_include_sensitive_data`) is not recorded.

    The SDK catches everything a processor raises. Pass `StopWhenTerminated` to the runner to stop
    it when its run is terminated.

    Args:
        recorder: Opens a run for each trace that begins outside a run.
        agent_id: The agent of these runs; by default the recorder's.
        version: The agent's version, as for `recorder.run`.
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
        """Return a context manager that makes the span of the calling tool current.

        Spans recorded in the block become its children. In code not called by the SDK, it yields
        None and changes nothing.
        """
        step = self._current()
        return nullcontext() if step is None else step.span.current()

    def check(self) -> None:
        """Raise if the run of the current trace has been terminated.

        Raises:
            RunTerminated: It has, and the recorder has no `on_terminated`.
        """
        step = self._current()
        if step is not None and step.span.run.terminated:
            step.span.run.report_termination()

    @guarded
    def on_trace_start(self, trace: agents.Trace) -> None:
        """Begin a workflow."""
        self._open(trace.trace_id, None, TRACE, lambda: _trace_payload(trace), None)

    @guarded
    def on_trace_end(self, trace: agents.Trace) -> None:
        """End a workflow."""
        step = self._steps.get(trace.trace_id)
        if step is None:
            return
        # Traces and streamed tasks report no outcome. It is that of the exception that left them,
        # or else that of their last agent.
        status, error = _outcome(None, step.notes["raised"])
        if error is None:
            status = step.notes.get("last", status)
        self._steps.close(trace.trace_id, lambda _: without_empty(error=error), status=status)

    @guarded
    def on_span_start(self, span: agents.Span[Any]) -> None:
        """Begin a step."""
        data = span.span_data
        parent = span.parent_id
        parent_key = parent if parent is not None and self._steps.get(parent) else span.trace_id
        schema_name = TYPE_BY_KIND.get(data.type, CUSTOM)
        began = _datetime(span.started_at)
        step = self._open(span.span_id, parent_key, schema_name, lambda: start_payload(data), began)
        if step is not None and self._steps.get(span.trace_id) is None:
            # A trace continued from an earlier process, whose start was not reported.
            step.notes["alias"] = span.trace_id
            self._steps.alias(span.trace_id, span.span_id)

    @guarded
    def on_span_end(self, span: agents.Span[Any]) -> None:
        """End a step."""
        step = self._steps.get(span.span_id)
        if step is None:
            return
        notes, kind = step.notes, span.span_data.type
        status, error = _outcome(span.error, notes["raised"])
        if kind == "task" and error is None:
            status = notes.get("last", status)
        if step.parent is not None and kind in {"agent", "task"}:
            step.parent.notes["last"] = status
        self._steps.close(notes.get("alias"))
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
        """Do nothing. The recorder delivers at the end of the program."""

    def force_flush(self) -> None:
        """Deliver for at most 5 seconds. Do nothing without a recorder."""
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
            return None  # the SDK would log it each time and continue
        if step is not None:
            step.notes.update(payload=made, raised=sys.exception())
        return step


class StopWhenTerminated(agents.RunHooks[Any]):
    """Hooks that stop the runner when its run is terminated: `Runner.run(..., hooks=...)`.

    They raise `RunTerminated` out of the runner before the next agent turn, model call or tool
    call. In your own hooks, call `processor.check()` instead.

    Args:
        processor: The processor returned by `record_agents`.
    """

    def __init__(self, processor: PrefactorTracingProcessor) -> None:
        self._processor = processor

    async def on_agent_start(self, *_: Any, **__: Any) -> None:
        """Check before an agent's turn."""
        self._processor.check()

    async def on_llm_start(self, *_: Any, **__: Any) -> None:
        """Check before a model call."""
        self._processor.check()

    async def on_tool_start(self, *_: Any, **__: Any) -> None:
        """Check before a tool call."""
        self._processor.check()


def record_agents(
    recorder: Recorder | None = None,
    *,
    agent_id: str | None = None,
    version: str | Mapping[str, Any] | None = None,
    replace: bool = False,
) -> PrefactorTracingProcessor:
    """Start recording the Agents SDK in this process.

    Args:
        recorder: As for `PrefactorTracingProcessor`.
        agent_id: As for `PrefactorTracingProcessor`.
        version: As for `PrefactorTracingProcessor`.
        replace: Replace all other processors, including OpenAI's own exporter, so that nothing is
            sent to OpenAI's dashboard. By default, they are kept.

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
    """Return the payload of a trace."""
    more = {name: plain(getattr(trace, name, None)) for name in ("group_id", "metadata")}
    return {"name": trace.name, "trace_id": trace.trace_id, **without_empty(**more)}


def _outcome(
    reported: Any, raised_before: BaseException | None
) -> tuple[Status, dict[str, str] | None]:
    """Return status and error of a span or trace, from the SDK and from the current exception.

    The SDK marks some failures and no cancellations. Both raise out of their block, so the
    exception is still being handled when the end is reported. An exception that was already being
    handled at the start is ignored.
    """
    raised = sys.exception()
    if raised is raised_before:
        raised = None
    if reported is None and (raised is None or is_cancellation(raised)):
        return ("complete" if raised is None else "cancelled"), None
    kind = "" if raised is None else type(raised).__qualname__
    stack = "" if raised is None else "".join(traceback.format_tb(raised.__traceback__))
    return "failed", failure(reported, kind, stack[-MAX_STACK:])


def _datetime(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
