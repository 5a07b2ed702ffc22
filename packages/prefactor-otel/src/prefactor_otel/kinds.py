"""Decides the kind of a span, by any known convention, and names the span types."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from prefactor_otel.span import OtelSpan

OPERATIONS = {
    "chat": "llm",
    "generate_content": "llm",
    "text_completion": "llm",
    "completion": "llm",
    "embeddings": "embedding",
    "embedding": "embedding",
    "execute_tool": "tool",
    "create_agent": "agent",
    "invoke_agent": "agent",
    "invoke_workflow": "chain",
    "retrieval": "retriever",
    "rerank": "reranker",
}
"""The kind of span for `gen_ai.operation.name` and `llm.request.type`."""
TRACELOOP_KINDS = {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool"}
"""The kind of span for `traceloop.span.kind`."""
OPENINFERENCE_KINDS = frozenset(
    {
        "llm",
        "embedding",
        "chain",
        "retriever",
        "reranker",
        "tool",
        "agent",
        "guardrail",
        "evaluator",
        "prompt",
    }
)
"""The values of `openinference.span.kind`, in lower case."""
KNOWN_SPAN_NAMES = ("invoke_agent", "create_agent", "execute_tool", "invoke_workflow")
"""First words of span names that identify a span before it has attributes."""


class SpanTypeTexts(NamedTuple):
    """The title of a span type, and the Liquid template of its summaries."""

    title: str
    template: str


SPAN_TYPES = {
    "otel:llm": SpanTypeTexts(
        "Model call", "{{ model }}: {{ text | default: finish_reason | truncate: 120 }}"
    ),
    "otel:embedding": SpanTypeTexts("Embedding", "{{ model | default: name }}"),
    "otel:tool": SpanTypeTexts(
        "Tool call", "{{ tool_name | default: name }}: {{ output | truncate: 120 }}"
    ),
    "otel:agent": SpanTypeTexts("Agent", "{{ name }}"),
    "otel:chain": SpanTypeTexts("Chain or workflow", "{{ name }}"),
    "otel:retriever": SpanTypeTexts("Retrieval", "{{ name }}: {{ input | truncate: 120 }}"),
    "otel:reranker": SpanTypeTexts("Reranking", "{{ name }}: {{ input | truncate: 120 }}"),
    "otel:guardrail": SpanTypeTexts("Guardrail", "{{ name }}: {{ output | truncate: 120 }}"),
    "otel:evaluator": SpanTypeTexts("Evaluation", "{{ name }}: {{ output | truncate: 120 }}"),
    "otel:prompt": SpanTypeTexts("Prompt", "{{ name }}"),
    "otel:step": SpanTypeTexts("Step", "{{ name }}"),
}
"""The span types of recorded OpenTelemetry spans, by name."""


def span_type_of(kind: str | None) -> str:
    """Return the name of the span type for a kind; a span of no known kind is a step."""
    return f"otel:{kind or 'step'}"


def kind_of(span: OtelSpan) -> str | None:
    """Return the kind of a span, such as `llm` or `tool`, or None if it is not about models."""
    attributes = span.attributes
    openinference = str(attributes.get("openinference.span.kind", "")).lower()
    if openinference:
        return openinference if openinference in OPENINFERENCE_KINDS else "step"
    operation = attributes.get("gen_ai.operation.name", attributes.get("llm.request.type"))
    if operation is not None:
        return OPERATIONS.get(str(operation), "step")
    if "traceloop.span.kind" in attributes:
        return TRACELOOP_KINDS.get(str(attributes["traceloop.span.kind"]), "step")
    if "gen_ai.request.model" in attributes:
        return "llm"
    first = span.name.partition(" ")[0]
    if first in KNOWN_SPAN_NAMES:
        return OPERATIONS[first]
    return "step" if any(name.startswith("gen_ai.") for name in attributes) else None
