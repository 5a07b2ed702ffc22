"""Records what others trace with OpenTelemetry: `pip install "opentelemetry-sdk>=1.25"`.

Add a `PrefactorSpanProcessor` to the tracer provider, next to any other processor. Spans that tell
of models, tools and agents become spans of a run; all others are looked through.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from prefactor_recorder.guard import guarded
from prefactor_recorder.integrations._common.optional import missing_library
from prefactor_recorder.integrations.opentelemetry.attributes import kind_of
from prefactor_recorder.span_types.registry import SpanTypes

try:
    from opentelemetry.sdk.trace import SpanProcessor
except ModuleNotFoundError as error:
    raise missing_library("opentelemetry-sdk>=1.25") from error

from prefactor_recorder.integrations.opentelemetry.spans import MAX_OPEN, Traces

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from prefactor_recorder.recorder import Recorder
    from prefactor_recorder.run import Run

__all__ = ["SPAN_TYPES", "PrefactorSpanProcessor", "is_genai_span"]

_CALL = "{{ model }}: {{ text | default: finish_reason | truncate: 120 }}"
_TYPES = {
    "llm": ("Model call", _CALL),
    "embedding": ("Embedding", "{{ model | default: name }}"),
    "tool": ("Tool call", "{{ tool_name | default: name }}: {{ output | truncate: 120 }}"),
    "agent": ("Agent", "{{ name }}"),
    "chain": ("Chain or workflow", "{{ name }}"),
    "retriever": ("Retrieval", "{{ name }}: {{ input | truncate: 120 }}"),
    "reranker": ("Reranking", "{{ name }}: {{ input | truncate: 120 }}"),
    "guardrail": ("Guardrail", "{{ name }}: {{ output | truncate: 120 }}"),
    "evaluator": ("Evaluation", "{{ name }}: {{ output | truncate: 120 }}"),
    "prompt": ("Prompt", "{{ name }}"),
    "step": ("Step", "{{ name }}"),
}
SPAN_TYPES = SpanTypes()
"""The span types that OpenTelemetry spans are recorded as: `otel:llm`, `otel:tool` and so on."""
for _kind, (_title, _template) in _TYPES.items():
    SPAN_TYPES.span_type(f"otel:{_kind}", title=_title, template=_template)


def is_genai_span(span: ReadableSpan) -> bool:
    """Whether a span tells of a model, a tool or an agent, by any convention that is known here."""
    return kind_of(span) is not None


class PrefactorSpanProcessor(SpanProcessor):
    """Turns spans of OpenTelemetry into spans of a run.

    A span is recorded when it ends, with the times that it has itself; one that has children,
    when the first of them ends. Its parent is the nearest span above it that is recorded, whatever
    lies between. Where a run of the recorder is current when a span begins, it becomes part of that
    run; otherwise the spans of one trace in this process make a run, from the first that is
    recorded to the end of the last span of the trace.

    Spans that the tracer did not sample are not recorded. Nothing here raises or waits, also not in
    a run that has been terminated: ask `run.terminated`, or set `on_terminated`.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        select: Callable[[ReadableSpan], bool] = is_genai_span,
        run: Callable[[ReadableSpan], Run] | None = None,
        max_open: int = MAX_OPEN,
    ) -> None:
        """Prepare to be added to a tracer provider.

        Args:
            recorder: Makes the runs; `SPAN_TYPES` are declared with them.
            select: Whether a span is recorded. It is asked about spans that are still going on,
                too: about one just begun, and about those above one that ends.
            run: Makes the run of a trace from the first span of it that is recorded; by default
                `recorder.run()`.
            max_open: Spans watched at once. Beyond it, the one that nothing has happened in for
                longest is given up: recorded as cancelled if it has children.
        """
        recorder.include(SPAN_TYPES)
        self._recorder = recorder
        # Re-entrant: collecting garbage may end a span in here.
        self._lock = threading.RLock()
        self._traces = Traces(select, run or (lambda _: recorder.run()), max_open)
        if hasattr(os, "register_at_fork"):
            forked = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (again := forked()) and again())

    def _after_fork(self) -> None:
        # Another thread of the parent may have held it.
        self._lock = threading.RLock()
        self._traces.forget()

    @guarded
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        """Watch a span."""
        with self._lock:
            self._traces.started(span)

    @guarded
    def on_end(self, span: ReadableSpan) -> None:
        """Record a span, if it is to be."""
        with self._lock:
            self._traces.ended(span)

    @guarded
    def shutdown(self) -> None:
        """End what is open as cancelled. The recorder is left open: it may have other users."""
        with self._lock:
            self._traces.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what has been recorded; whether all of it was delivered in time."""
        return self._recorder.flush(timeout_millis / 1000) == 0
