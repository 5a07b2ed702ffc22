"""The span types of LangChain and LangGraph: names, titles, and the line that a list shows."""

from __future__ import annotations

from prefactor_recorder.span_types.registry import SpanTypes

CHAIN = "langchain:chain"
LLM = "langchain:llm"
TOOL = "langchain:tool"
RETRIEVER = "langchain:retriever"
AGENT = "langchain:agent"
EVENT = "langchain:event"

SPAN_TYPES = SpanTypes()
"""What to hand to `Recorder(span_types=[...])`, so that runs declare these types."""

SPAN_TYPES.span_type(
    CHAIN,
    title="Chain",
    description="A chain, a graph, a node of a graph, or another runnable.",
    template="{{ name }}{% if error %}: {{ error.message | truncate: 80 }}{% endif %}",
)
SPAN_TYPES.span_type(
    LLM,
    title="Model call",
    description="A call of a chat model or of a model that completes texts.",
    template="{{ model | default: name }}: {{ text | default: error.message | truncate: 80 }}",
)
SPAN_TYPES.span_type(
    TOOL,
    title="Tool call",
    description="A call of a tool, with its arguments and what it gave back.",
    template="{{ name }}{% if error %}: {{ error.message | truncate: 80 }}{% endif %}",
)
SPAN_TYPES.span_type(
    RETRIEVER,
    title="Retrieval",
    description="A search for documents.",
    template="{{ query | truncate: 60 }}{% if count %}: {{ count }} found{% endif %}",
)
SPAN_TYPES.span_type(
    AGENT,
    title="Agent's decision",
    description="A decision of an agent: to use a tool, or that it is done.",
    template="{{ decision }} {{ name }}",
)
SPAN_TYPES.span_type(
    EVENT,
    title="Event",
    description="Something that the agent's own code has dispatched.",
    template="{{ name }}",
)
