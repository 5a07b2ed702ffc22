"""Records what others trace with OpenTelemetry: `pip install "opentelemetry-sdk>=1.25"`.

Add a `PrefactorSpanProcessor` to the tracer provider, next to any other processor. Spans that tell
of models, tools and agents become spans of a run; all others are looked through.
"""

from prefactor_recorder.integrations.opentelemetry.processor import (
    SPAN_TYPES,
    PrefactorSpanProcessor,
    is_genai_span,
)

__all__ = ["SPAN_TYPES", "PrefactorSpanProcessor", "is_genai_span"]
