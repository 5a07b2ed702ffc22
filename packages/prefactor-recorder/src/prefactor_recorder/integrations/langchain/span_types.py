"""The span types of LangChain and LangGraph."""

from __future__ import annotations

from prefactor_recorder.span_types.registry import SpanTypes

CHAIN = "langchain:chain"
LLM = "langchain:llm"
TOOL = "langchain:tool"
RETRIEVER = "langchain:retriever"
AGENT = "langchain:agent"
EVENT = "langchain:event"

SPAN_TYPES = SpanTypes()
"""Pass this to `Recorder(span_types=[...])`, so that runs declare these types."""

SPAN_TYPES.span_type(
    CHAIN,
    title="Chain",
    description="A chain, a graph, a node of a graph, or another runnable.",
    template="{{ name }}{% if error %}: {{ error.message | truncate: 80 }}{% endif %}",
)
SPAN_TYPES.span_type(
    LLM,
    title="Model call",
    description="A call of a chat model or a text completion model.",
    template="{{ model | default: name }}: {{ text | default: error.message | truncate: 80 }}",
)
SPAN_TYPES.span_type(
    TOOL,
    title="Tool call",
    description="A call of a tool, with its arguments and output.",
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
    description="A decision of an agent to use a tool or to finish.",
    template="{{ decision }} {{ name }}",
)
SPAN_TYPES.span_type(
    EVENT,
    title="Event",
    description="An event dispatched by the agent's own code.",
    template="{{ name }}",
)
