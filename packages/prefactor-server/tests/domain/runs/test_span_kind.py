"""The kind of a span, from the name of its type and from its payload."""

from collections import Counter

import pytest

from prefactor_server.domain.runs.span_kind import WORDS, span_kind


@pytest.mark.parametrize(
    ("schema_name", "kind"),
    [
        ("langchain:llm", "llm"),
        ("langchain:tool", "tool"),
        ("langchain:retriever", "retrieval"),
        ("langchain:agent", "agent"),
        ("langchain:chain", "agent"),
        ("langchain:event", "other"),
        ("openai_agents:llm", "llm"),
        ("openai_agents:tool", "tool"),
        ("openai_agents:guardrail", "guard"),
        ("openai_agents:handoff", "agent"),
        ("openai_agents:mcp_list", "tool"),
        ("openai_agents:speech", "llm"),
        ("openai_agents:custom", "other"),
        ("agent:llm_call", "llm"),
        ("agent:tool", "tool"),
        ("llm:tool_call", "tool"),
        ("WebSearch", "retrieval"),
        ("callLLM", "llm"),
        ("HTTPRequest", "http"),
        ("human-approval", "human"),
        ("stool", "other"),
        ("", "other"),
        ("日本", "other"),
    ],
)
def test_the_last_known_word_decides(schema_name: str, kind: str) -> None:
    """Words are matched from the end, whole, in any case and with any separator."""
    assert span_kind(schema_name, has_model=False, has_tool=False) == kind


def test_the_payload_decides_without_a_known_word() -> None:
    """A tool's name makes a tool, a model's name a model call; the name of the type comes first."""
    assert span_kind("step", has_model=False, has_tool=True) == "tool"
    assert span_kind("step", has_model=True, has_tool=True) == "tool"
    assert span_kind("step", has_model=True, has_tool=False) == "llm"
    assert span_kind("agent", has_model=True, has_tool=True) == "agent"


def test_no_word_has_two_kinds() -> None:
    """Each word belongs to one kind, so the order of the table does not matter."""
    times = Counter(word for words in WORDS.values() for word in words)
    assert [word for word, number in times.items() if number > 1 or word != word.lower()] == []
