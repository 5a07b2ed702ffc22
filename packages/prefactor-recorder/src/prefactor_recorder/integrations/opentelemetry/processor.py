"""Records OpenTelemetry spans: `pip install "opentelemetry-sdk>=1.25"`.

Add a `PrefactorSpanProcessor` to the tracer provider, next to any other processor. Spans about
models, tools and agents become spans of a run. All others are skipped.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from prefactor_otel import kinds
from prefactor_recorder.guard import guarded
from prefactor_recorder.integrations._common.optional import missing_library
from prefactor_recorder.span_types.registry import SpanTypes

try:
    from opentelemetry.sdk.trace import SpanProcessor
except ModuleNotFoundError as error:
    raise missing_library("opentelemetry-sdk>=1.25") from error

from prefactor_recorder.integrations.opentelemetry.reading import as_span
from prefactor_recorder.integrations.opentelemetry.spans import MAX_OPEN, Traces

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from prefactor_recorder.recorder import Recorder
    from prefactor_recorder.run import Run

__all__ = ["SPAN_TYPES", "PrefactorSpanProcessor", "is_genai_span"]

SPAN_TYPES = SpanTypes()
"""The span types of recorded OpenTelemetry spans: `otel:llm`, `otel:tool` and so on."""
for _name, (_title, _template) in kinds.SPAN_TYPES.items():
    SPAN_TYPES.span_type(_name, title=_title, template=_template)


def is_genai_span(span: ReadableSpan) -> bool:
    """Whether a span is about a model, a tool or an agent, by any known convention."""
    return kinds.kind_of(as_span(span)) is not None


class PrefactorSpanProcessor(SpanProcessor):
    """Converts OpenTelemetry spans to spans of a run.

    A span is recorded with its own times, when it ends or when its first child ends. Its parent is
    its nearest recorded ancestor. If there is a current run when a span begins, the span belongs to
    that run. Otherwise the spans of one trace in this process form a run, from the first recorded
    span to the end of the last span of the trace.

    Spans that the tracer did not sample are not recorded. The processor never raises or blocks, not
    even in a terminated run. Check `run.terminated`, or set `on_terminated`.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        select: Callable[[ReadableSpan], bool] = is_genai_span,
        run: Callable[[ReadableSpan], Run] | None = None,
        max_open: int = MAX_OPEN,
    ) -> None:
        """Create a processor.

        Args:
            recorder: Creates the runs, which declare `SPAN_TYPES`.
            select: Whether to record a span. Called for open spans as well: for each new span, and
                for the ancestors of a span that ends.
            run: Creates the run of a trace for its first recorded span; by default
                `recorder.run()`.
            max_open: Maximum number of open spans. Beyond it, the span that has been idle longest
                is evicted, and recorded as cancelled if it has children.
        """
        recorder.include(SPAN_TYPES)
        self._recorder = recorder
        # Re-entrant, because garbage collection may end a span.
        self._lock = threading.RLock()
        self._traces = Traces(select, run or (lambda _: recorder.run()), max_open)
        if hasattr(os, "register_at_fork"):
            forked = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (again := forked()) and again())

    def _after_fork(self) -> None:
        # Another thread of the parent may hold the lock.
        self._lock = threading.RLock()
        self._traces.forget()

    @guarded
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        """Track a span."""
        with self._lock:
            self._traces.started(span)

    @guarded
    def on_end(self, span: ReadableSpan) -> None:
        """Record a span if it is selected."""
        with self._lock:
            self._traces.ended(span)

    @guarded
    def shutdown(self) -> None:
        """End open spans as cancelled. The recorder stays open, because it may have other users."""
        with self._lock:
            self._traces.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver everything recorded so far. Return whether that succeeded in time."""
        return self._recorder.flush(timeout_millis / 1000) == 0
