"""Converts the SDK's spans for the mapping, which does not depend on the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import StatusCode

from prefactor_otel.span import OtelSpan, SpanEvent

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


def as_span(span: ReadableSpan) -> OtelSpan:
    """Return a snapshot of a span for the mapping."""
    context, scope = span.context, span.instrumentation_scope
    return OtelSpan(
        name=span.name,
        attributes=span.attributes or {},
        events=[SpanEvent(each.name, each.attributes or {}) for each in span.events],
        trace_id=None if context is None else f"{context.trace_id:032x}",
        span_id=None if context is None else f"{context.span_id:016x}",
        scope=scope.name if scope else None,
        is_error=span.status.status_code is StatusCode.ERROR,
        status_description=span.status.description,
    )
