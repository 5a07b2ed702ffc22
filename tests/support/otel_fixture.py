"""Tracing with OpenTelemetry in tests, with given times."""

from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from prefactor_recorder.integrations.opentelemetry import (
    PrefactorSpanProcessor,
)
from prefactor_recorder.testing import InMemoryRecorder

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"}


def tracing(recorder: InMemoryRecorder, **options: Any) -> Tracer:
    """A tracer whose spans are recorded."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(PrefactorSpanProcessor(recorder, **options))
    return provider.get_tracer("test-scope")


def one(recorder: InMemoryRecorder, attributes: dict[str, Any], *events: Any) -> Any:
    """Return what is recorded of one span with those attributes and events."""
    with tracing(recorder).start_as_current_span("a span", attributes=attributes) as span:
        for name, more in events:
            span.add_event(name, more)
    (recorded,) = recorder.spans
    return recorded
