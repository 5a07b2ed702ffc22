"""Tracks open OpenTelemetry spans and their places in a run."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prefactor_otel.kinds import kind_of, span_type_of
from prefactor_otel.outcome import failure_of, status_of
from prefactor_otel.payloads import payload_and_result
from prefactor_recorder.context import innermost
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.guard import warn_once
from prefactor_recorder.integrations.opentelemetry.reading import as_span
from prefactor_recorder.run import Run
from prefactor_recorder.span import ROOT, Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from prefactor_recorder.outcome import Status
    from prefactor_recorder.span import RunLike

MAX_OPEN = 10_000
"""Maximum number of open spans."""
MAX_ENDED = 1_000
"""Ended spans remembered for children that begin after the end of their parent."""
UNFINISHED = {"unfinished": "its end was never reported"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Trace:
    """A trace with open spans in this process."""

    __slots__ = ("open", "run", "status")

    def __init__(self) -> None:
        self.open = 0
        self.run: Run | None = None
        """The run created for it, if any."""
        self.status: Status = "complete"


class _OpenSpan:
    """A span that has begun. Its children refer to it."""

    __slots__ = ("above", "current_at_start", "key", "payload", "recorded", "source", "trace")

    def __init__(
        self, key: tuple[int, int], source: ReadableSpan, above: _OpenSpan | None, trace: _Trace
    ) -> None:
        self.key = key
        self.source: ReadableSpan | None = source
        """The OpenTelemetry span; None after its end."""
        self.above = above
        self.trace = trace
        self.current_at_start = innermost()
        """The current run or span when it began."""
        self.recorded: Span | None = None
        """The recorder's span, if it has been recorded."""
        self.payload: dict[str, Any] = {}
        """The recorded payload."""


class Traces:
    """All open spans. Not thread-safe; the caller holds a lock.

    Args:
        select: Whether to record a span.
        make_run: Creates the run of a trace.
        limit: Maximum number of open spans.
    """

    def __init__(
        self,
        select: Callable[[ReadableSpan], bool],
        make_run: Callable[[ReadableSpan], Run],
        limit: int,
    ) -> None:
        self._select = select
        self._make_run = make_run
        self._limit = limit
        self._open: OrderedDict[tuple[int, int], _OpenSpan] = OrderedDict()
        self._ended: OrderedDict[tuple[int, int], _OpenSpan] = OrderedDict()
        self._traces: dict[int, _Trace] = {}
        self._closed = False

    def started(self, span: ReadableSpan) -> None:
        """Track a span that began."""
        context = span.context
        if self._closed or context is None or not context.trace_flags.sampled:
            return
        trace = self._traces.setdefault(context.trace_id, _Trace())
        trace.open += 1
        key = (context.trace_id, context.span_id)
        entry = _OpenSpan(key, span, self._above(span), trace)
        if key in self._open:  # the host's generator of ids repeats itself
            self._evict(key)
        self._open[key] = entry
        self._mark_used(entry.above)
        while len(self._open) > self._limit:
            self._evict(next(iter(self._open)))
        if self._select(span) and self._nearest(entry) is None:
            # Create the run now rather than at the end of its first step.
            self._place(entry, span)

    def ended(self, span: ReadableSpan) -> None:
        """Record a span that ended, if it is selected."""
        context = span.context
        if context is None:
            return
        key = (context.trace_id, context.span_id)
        entry = self._open.pop(key, None)
        if entry is None:
            return
        try:
            if entry.recorded is not None or self._select(span):
                self._record(entry, span)
        finally:
            entry.source, entry.payload = None, {}
            self._ended[key] = entry
            while len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)
            self._release(context.trace_id, entry.trace)

    def forget(self) -> None:
        """Forget all spans. Used in a forked child, because they belong to the parent process."""
        self._open.clear()
        self._ended.clear()
        self._traces.clear()

    def close(self) -> None:
        """Evict all open spans."""
        self._closed = True
        while self._open:
            self._evict(next(iter(self._open)))
        self._ended.clear()

    def _above(self, span: ReadableSpan) -> _OpenSpan | None:
        if span.parent is None:
            return None
        key = (span.parent.trace_id, span.parent.span_id)
        return self._open.get(key) or self._ended.get(key)

    def _mark_used(self, above: _OpenSpan | None) -> None:
        """Mark a span and its ancestors as used."""
        while above is not None and above.key in self._open:
            self._open.move_to_end(above.key)
            above = above.above

    def _record(self, entry: _OpenSpan, span: ReadableSpan) -> None:
        recorded = self._ensure_started(entry, span)
        if recorded is None:
            return
        mapped = as_span(span)
        payload, result = payload_and_result(mapped)
        known = entry.payload
        late = {
            name: each for name, each in payload.items() if name not in known or known[name] != each
        }
        status = status_of(mapped)
        if status == "failed":
            result = {**result, "error": failure_of(mapped)}
        if status != "complete" and self._nearest(entry) is None:
            entry.trace.status = status
        recorded.finish({**late, **result}, status=status, finished_at=_datetime(span.end_time))

    def _ensure_started(self, entry: _OpenSpan, span: ReadableSpan) -> Span | None:
        """Begin the recorder's span for an entry and its ancestors, unless they have begun."""
        chain: list[tuple[_OpenSpan, ReadableSpan]] = []
        above: _OpenSpan | None = entry
        while above is not None and above.recorded is None:
            source = span if above is entry else above.source
            if source is not None:
                chain.append((above, source))
            above = self._nearest(above)
        for each, source in reversed(chain):
            self._begin(each, source)
        return entry.recorded

    def _begin(self, entry: _OpenSpan, source: ReadableSpan) -> None:
        placed = self._place(entry, source)
        if placed is None:
            return
        run, parent = placed
        mapped = as_span(source)
        entry.payload, _ = payload_and_result(mapped)
        name = span_type_of(kind_of(mapped))
        try:
            entry.recorded = run.start_span(
                name, entry.payload, parent=parent, started_at=_datetime(source.start_time)
            )
        except RunTerminated:
            # The host opened this span with OpenTelemetry and does not expect an exception.
            warn_once(
                "opentelemetry in a terminated run",
                "OpenTelemetry spans are no longer recorded in %r, because it was terminated.",
                run,
            )

    def _nearest(self, entry: _OpenSpan) -> _OpenSpan | None:
        """Return the nearest ancestor that is, or will be, recorded."""
        above = entry.above
        while above is not None:
            if above.recorded is not None:
                return above
            if above.source is not None and self._select(above.source):
                return above
            above = above.above
        return None

    def _place(self, entry: _OpenSpan, source: ReadableSpan) -> tuple[RunLike, Any] | None:
        """Return the run that a span belongs to, and its parent there."""
        above = self._nearest(entry)
        current_at_start = entry.current_at_start
        if above is not None and above.recorded is not None:
            own = above.recorded
            # Prefer a span that the host opened in between with the recorder.
            if (
                isinstance(current_at_start, Span)
                and current_at_start is not above.current_at_start
            ):
                return (
                    (own.run, current_at_start)
                    if current_at_start.run is own.run
                    else (own.run, own)
                )
            return own.run, own
        if isinstance(current_at_start, Span):
            return current_at_start.run, current_at_start
        if isinstance(current_at_start, Run):
            return current_at_start, ROOT
        if entry.trace.run is None:
            entry.trace.run = self._make_run(source)
            entry.trace.run.start()
        return entry.trace.run, ROOT

    def _evict(self, key: tuple[int, int]) -> None:
        entry = self._open.pop(key)
        entry.source = None
        if entry.recorded is not None:
            entry.recorded.finish(UNFINISHED, status="cancelled")
            entry.trace.status = "cancelled"
        self._release(key[0], entry.trace)

    def _release(self, trace_id: int, trace: _Trace) -> None:
        trace.open -= 1
        if trace.open > 0:
            return
        if self._traces.get(trace_id) is trace:
            del self._traces[trace_id]
        if trace.run is not None:
            trace.run.finish("cancelled" if self._closed else trace.status)


def _datetime(unix_ns: int | None) -> datetime | None:
    return None if unix_ns is None else _EPOCH + timedelta(microseconds=unix_ns // 1000)
