"""The kind of a span: the sort of step it is, independent of the library that recorded it.

The last known word of the type's name decides: ``langchain:tool`` is a tool, and ``agent:llm_call``
a model call. Without one, the payload decides: a span that names a tool is a tool, and one that
names a model is a model call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["llm", "tool", "agent", "retrieval", "http", "guard", "human", "other"]

WORDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "llm": (
        "llm",
        "chat",
        "completion",
        "completions",
        "embedding",
        "embeddings",
        "generation",
        "inference",
        "speech",
        "transcription",
    ),
    "tool": ("tool", "tools", "function", "mcp"),
    "agent": (
        "agent",
        "chain",
        "crew",
        "graph",
        "handoff",
        "subagent",
        "supervisor",
        "task",
        "trace",
        "turn",
        "workflow",
    ),
    "retrieval": (
        "rag",
        "rerank",
        "reranker",
        "retrieval",
        "retrieve",
        "retriever",
        "search",
        "vectorstore",
    ),
    "http": ("http", "https", "webhook"),
    "guard": ("guard", "guardrail", "guardrails", "moderation", "policy", "safety"),
    "human": ("approval", "hitl", "human"),
}
"""The words of each kind, in lower case. No word belongs to two kinds."""

_KIND_OF: Final[Mapping[str, Kind]] = {
    word: kind for kind, words in WORDS.items() for word in words
}
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def span_kind(schema_name: str, *, has_model: bool, has_tool: bool) -> Kind:
    """Return the kind of a span, from the name of its type and its payload."""
    for word in reversed(_WORD.findall(schema_name)):
        kind = _KIND_OF.get(word.lower())
        if kind is not None:
            return kind
    if has_tool:
        return "tool"
    return "llm" if has_model else "other"
