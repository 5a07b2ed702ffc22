"""Which tokens, models and tools are read from payloads, and which values are ignored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.runs.usage import MAX_COUNT, MAX_TEXT, Usage, extract_usage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["usage", "token_usage", "total_tokens", "model", "inputs", "outputs", "error", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 9},
        {"input_tokens": 3, "output_tokens": 4, "total_tokens": 9},
        {"promptTokens": 3, "completionTokens": 4, "totalTokens": 9},
        {"inputTokens": 3, "outputTokens": 4, "total": 9},
        {"prompt": 3, "completion": 4, "total": 9},
        {"prompt_tokens": 3.0, "completion_tokens": 4, "total_tokens": 9.0},
    ],
)
@pytest.mark.parametrize("key", ["token_usage", "usage"])
def test_counts_are_read_in_every_common_spelling(key: str, usage: dict[str, object]) -> None:
    """Token counts are found under both names and in each of the SDKs' spellings."""
    for payload in ({key: usage}, {"outputs": {key: usage}}):
        found = extract_usage(payload)
        assert (found.prompt_tokens, found.completion_tokens, found.total_tokens) == (3, 4, 9)


def test_the_counts_of_the_result_win() -> None:
    """A count in the result replaces the payload's count of the same kind."""
    payload = {"token_usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    result = {"token_usage": {"completion_tokens": 7}}
    assert extract_usage(payload, result) == Usage(1, 7, 2)


def test_a_missing_total_is_the_sum() -> None:
    """A missing total is the sum of its parts, if both exist."""
    assert extract_usage({"usage": {"input_tokens": 2, "output_tokens": 3}}).total_tokens == 5
    assert extract_usage({"usage": {"input_tokens": 2}}).total_tokens is None


@pytest.mark.parametrize(
    "hostile",
    [-1, True, False, None, "12", 1.5, float("nan"), float("inf"), MAX_COUNT + 1, 10**400, [], {}],
)
def test_an_invalid_count_is_ignored(hostile: object) -> None:
    """A value that cannot be a token count is ignored."""
    assert extract_usage({"token_usage": {"prompt_tokens": hostile}}) == Usage()


def test_the_largest_count_is_taken_exactly() -> None:
    """Counts are bounded where JSON numbers stop being exact, sums included."""
    counts = {"prompt_tokens": MAX_COUNT, "completion_tokens": MAX_COUNT}
    assert extract_usage({"usage": counts}) == Usage(MAX_COUNT, MAX_COUNT, MAX_COUNT)


@pytest.mark.parametrize(
    "payload",
    [
        {"model": "m-1"},
        {"inputs": {"model": "m-1"}},
        {"inputs": {"ai.model.id": "m-1"}},
        {"inputs": {"ai": {"model": {"id": "m-1"}}}},
        {"model": "  m-1\n"},
        {"model": "m-\x001\ud800"},
    ],
)
def test_the_model_is_read_from_each_of_its_places(payload: dict[str, object]) -> None:
    """The model's name is found wherever an SDK puts it, as one printable line."""
    assert extract_usage(payload).model == "m-1"
    assert extract_usage({}, payload).model == "m-1"


@pytest.mark.parametrize("value", [3, None, "", " ", "\x00", ["m"], {"id": "m"}])
def test_an_invalid_model_name_is_ignored(value: object) -> None:
    """Only a text with something printable in it names a model."""
    assert extract_usage({"model": value}).model is None


@pytest.mark.parametrize("between", ["\n", "\r\n", "\t", " \n ", "\u2028", "\xa0"])
def test_white_space_in_a_name_is_one_space(between: str) -> None:
    """Words of a name that stand on several lines stay apart on one line."""
    found = extract_usage({"model": f"large{between}2", "tool_name": f"read{between}file\x00"})
    assert (found.model, found.tool_name) == ("large 2", "read file")


def test_long_names_are_cut() -> None:
    """A name longer than a column is cut, not refused."""
    found = extract_usage({"model": "m" * 10_000, "tool_name": "t" * 10_000})
    assert (found.model, found.tool_name) == ("m" * MAX_TEXT, "t" * MAX_TEXT)


@pytest.mark.parametrize("name", ["langchain:tool", "tool", "tool_call", "agent.Tool"])
def test_the_name_of_a_tool_span_is_the_tool(name: str) -> None:
    """`payload.name` names the tool when the span's type is one."""
    assert extract_usage({"name": "search"}, None, name).tool_name == "search"
    assert extract_usage({"name": "x", "tool_name": "search"}, None, name).tool_name == "search"


@pytest.mark.parametrize("name", ["", "agent:llm", "toolbox", "langchain:retriever"])
def test_the_name_of_any_other_span_is_not_a_tool(name: str) -> None:
    """`payload.name` means many things, so only the explicit fields count elsewhere."""
    assert extract_usage({"name": "search"}, None, name).tool_name is None
    assert extract_usage({"tool": "search"}, None, name).tool_name == "search"


@pytest.mark.parametrize(
    "payload",
    [
        {"model": {"$sensitive": "string", "value": "m-1", "model": "m-1"}},
        {"inputs": {"$sensitive": "object", "value": {}, "model": "m-1"}},
        {"usage": {"$sensitive": "object", "prompt_tokens": 3, "value": {"prompt_tokens": 3}}},
        {"$sensitive": "object", "model": "m-1", "usage": {"prompt_tokens": 3}},
    ],
)
def test_sensitive_values_are_not_read(payload: dict[str, object]) -> None:
    """A sensitive value stays in its wrapper at every level."""
    assert extract_usage(payload) == Usage()


@given(payload=JSON, result=JSON, name=st.text(max_size=10))
def test_any_json_is_read_without_an_error(payload: object, result: object, name: str) -> None:
    """For any payloads, the result is within its bounds."""
    found = extract_usage(payload, result, name)
    for count in (found.prompt_tokens, found.completion_tokens, found.total_tokens):
        assert count is None or (type(count) is int and 0 <= count <= MAX_COUNT)
    for text in (found.model, found.tool_name):
        assert text is None or (0 < len(text) <= MAX_TEXT and text.isprintable())
