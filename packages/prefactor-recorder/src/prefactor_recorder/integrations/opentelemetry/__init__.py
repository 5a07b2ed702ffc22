"""Records OpenTelemetry spans: `pip install "opentelemetry-sdk>=1.25"`.

Add a `PrefactorSpanProcessor` to the tracer provider, next to any other processor. Spans about
models, tools and agents become spans of a run. All others are skipped.
"""

from prefactor_recorder.integrations.opentelemetry.processor import (
    SPAN_TYPES,
    PrefactorSpanProcessor,
    is_genai_span,
)

__all__ = ["SPAN_TYPES", "PrefactorSpanProcessor", "is_genai_span"]
