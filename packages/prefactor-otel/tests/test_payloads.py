"""What each known attribute of a span becomes in its payload and result."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_otel.payloads import payload_and_result
from prefactor_otel.span import OtelSpan, SpanEvent

LLM = {"gen_ai.operation.name": "chat"}
PAYLOAD, RESULT = 0, 1
# Where a value is found, and the names that it has in the conventions, best first.
NAMES: dict[tuple[int, str], tuple[str, ...]] = {
    (PAYLOAD, "model"): (
        "gen_ai.request.model",
        "llm.model_name",
        "embedding.model_name",
        "reranker.model_name",
    ),
    (PAYLOAD, "provider"): ("gen_ai.provider.name", "gen_ai.system", "llm.provider"),
    (PAYLOAD, "system"): ("gen_ai.system_instructions",),
    (PAYLOAD, "tool_name"): ("gen_ai.tool.name", "tool.name", "tool_call.function.name"),
    (PAYLOAD, "tool.id"): ("gen_ai.tool.call.id", "tool_call.id", "tool.id"),
    (PAYLOAD, "tool.type"): ("gen_ai.tool.type",),
    (PAYLOAD, "tool.description"): ("gen_ai.tool.description", "tool.description"),
    (PAYLOAD, "agent.name"): ("gen_ai.agent.name", "agent.name", "gen_ai.workflow.name"),
    (PAYLOAD, "agent.id"): ("gen_ai.agent.id",),
    (PAYLOAD, "agent.description"): ("gen_ai.agent.description",),
    (PAYLOAD, "agent.version"): ("gen_ai.agent.version",),
    (PAYLOAD, "conversation_id"): ("gen_ai.conversation.id", "session.id"),
    (PAYLOAD, "parameters.top_p"): ("gen_ai.request.top_p",),
    (PAYLOAD, "input"): (
        "gen_ai.tool.call.arguments",
        "tool.parameters",
        "tool_call.function.arguments",
        "gen_ai.retrieval.query.text",
        "reranker.query",
        "input.value",
        "traceloop.entity.input",
    ),
    (PAYLOAD, "tools"): ("gen_ai.tool.definitions",),
    (PAYLOAD, "name"): ("logfire.msg",),
    (RESULT, "model"): ("gen_ai.response.model",),
    (RESULT, "response_id"): ("gen_ai.response.id",),
    (RESULT, "finish_reason"): ("gen_ai.response.finish_reasons", "llm.finish_reason"),
    (RESULT, "time_to_first_token"): ("gen_ai.response.time_to_first_chunk",),
    (RESULT, "output"): ("gen_ai.tool.call.result", "output.value", "traceloop.entity.output"),
    (RESULT, "documents"): ("gen_ai.retrieval.documents",),
}
# Their meaning is in the type of the span, or nowhere.
NOT_SHOWN = {
    "gen_ai.operation.name": "chat",
    "openinference.span.kind": "LLM",
    "traceloop.span.kind": "task",
    "llm.request.type": "chat",
    "input.mime_type": "text/plain",
    "output.mime_type": "text/plain",
    "logfire.json_schema": "{}",
    "logfire.msg_template": "{}",
}


def read(attributes: Any, *events: tuple[str, Any], name: str = "a span") -> tuple[Any, Any]:
    """Return the payload and the result of a span."""
    return payload_and_result(OtelSpan(name, attributes, [SpanEvent(*one) for one in events]))


def found(document: Any, path: str) -> Any:
    """Return the value at a path, or None."""
    for member in path.split("."):
        document = document.get(member) if isinstance(document, dict) else None
    return document


@given(st.data())
def test_an_attribute_has_its_place(data: st.DataObject) -> None:
    """Of the names of a value, the best one that is given counts, and none is left over."""
    every = [name for names in NAMES.values() for name in names]
    given_names = data.draw(st.lists(st.sampled_from(every), unique=True))
    attributes = {name: f"of {name}" for name in data.draw(st.permutations(given_names))}
    shown = read({**attributes, **NOT_SHOWN})

    for (part, path), names in NAMES.items():
        best = next((f"of {name}" for name in names if name in attributes), None)
        if path == "name":
            best = best or "a span"
        assert found(shown[part], path) == best, path
    assert "attributes" not in shown[PAYLOAD]


def test_every_name_is_read_alone() -> None:
    """A value is found by each of its names, also if no other attribute is known."""
    for (part, path), names in NAMES.items():
        for name in names:
            shown = read({name: "given", "other": 1})
            assert found(shown[part], path) == "given", name
            assert shown[PAYLOAD]["attributes"] == {"other": 1}, name
            assert len(shown[RESULT]) == part, name


@pytest.mark.parametrize(
    ("attributes", "usage", "tokens"),
    [
        ({"gen_ai.usage.input_tokens": 5}, {"input_tokens": 5}, (5, 0, 5)),
        ({"gen_ai.usage.output_tokens": 2}, {"output_tokens": 2}, (0, 2, 2)),
        (
            {"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 2},
            {"prompt_tokens": 5, "completion_tokens": 2},
            (5, 2, 7),
        ),
        (
            {
                "gen_ai.usage.input_tokens": 5,
                "gen_ai.usage.prompt_tokens": 6,
                "gen_ai.usage.output_tokens": 2,
                "gen_ai.usage.completion_tokens": 3,
                "llm.usage.total_tokens": 9,
            },
            {
                "input_tokens": 5,
                "prompt_tokens": 6,
                "output_tokens": 2,
                "completion_tokens": 3,
                "total_tokens": 9,
            },
            (5, 2, 9),
        ),
        (
            {
                "llm.token_count.prompt": 5,
                "llm.token_count.completion": 2,
                "llm.token_count.total": 8,
                "llm.token_count.prompt_details.cache_read": 4,
            },
            {"prompt": 5, "completion": 2, "total": 8, "prompt_details.cache_read": 4},
            (5, 2, 8),
        ),
        (
            {"gen_ai.usage.input_tokens": None, "gen_ai.usage.prompt_tokens": 6},
            {"input_tokens": None, "prompt_tokens": 6},
            (6, 0, 6),
        ),
        ({"gen_ai.usage.input_tokens": 0}, {"input_tokens": 0}, (0, 0, 0)),
        ({"gen_ai.usage.input_tokens": "5"}, {"input_tokens": "5"}, None),
        ({"llm.usage.total_tokens": 9}, {"total_tokens": 9}, None),
    ],
)
def test_tokens_are_counted(
    attributes: dict[str, Any], usage: Any, tokens: tuple[int, int, int] | None
) -> None:
    """Counts are read under their names of every convention, and a missing one is 0.

    Those in a span that is not a model call are totals of other spans.
    """
    _, result = read({**LLM, **attributes})
    _, totals = read(attributes)
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    counted = None if tokens is None else dict(zip(names, tokens, strict=True))

    assert result.get("token_usage") == counted
    assert result["usage"] == usage
    assert totals == {"totals": counted or usage}


def test_messages_are_read_in_every_form() -> None:
    """The newest form that has messages counts, and the others are not left over."""
    forms: list[tuple[dict[str, Any], str]] = [
        ({"gen_ai.input.messages": '[{"content": "new"}]'}, "new"),
        ({"llm.input_messages.0.message.content": "nested"}, "nested"),
        ({"gen_ai.prompt.0.content": "indexed"}, "indexed"),
        ({"gen_ai.prompt": '{"content": "one"}'}, "one"),
    ]
    event = ("gen_ai.user.message", {"content": "event"})
    for first in range(len(forms)):
        attributes = {name: one for form, _ in forms[first:] for name, one in form.items()}
        payload, _ = read({**LLM, **attributes, "input.value": "other"}, event)
        assert [one["content"] for one in payload["messages"]] == [forms[first][1]]
        assert not {"attributes", "input"} & payload.keys()
    payload, _ = read({**LLM, "input.value": "other"}, event)
    assert payload["messages"] == [{"role": "user", "content": "event"}]


def test_an_answer_is_read_in_every_form() -> None:
    """Text, tool calls and reason are those of the first message, whatever the form."""
    call = {"id": "t", "name": "find", "arguments": {"q": [1]}}
    function = {"id": "t", "function": {"name": "find", "arguments": '{"q": [1]}'}}
    nested = "llm.output_messages.0.message"
    forms: list[tuple[dict[str, Any], list[tuple[str, Any]]]] = [
        (
            {
                "gen_ai.output.messages": [
                    {
                        "parts": [
                            {"type": "text", "content": "Hel"},
                            {"type": "thinking", "content": "no"},
                            {"type": "tool_call", **call},
                            {"type": "output_text", "text": "lo"},
                        ],
                        "finish_reason": "stop",
                    },
                    {"content": "a second choice"},
                ]
            },
            [],
        ),
        (
            {
                f"{nested}.contents.0.message_content.text": "Hel",
                f"{nested}.contents.1.message_content.text": "lo",
                f"{nested}.tool_calls.0.tool_call.id": "t",
                f"{nested}.tool_calls.0.tool_call.function.name": "find",
                f"{nested}.tool_calls.0.tool_call.function.arguments": '{"q": [1]}',
                "llm.finish_reason": "stop",
            },
            [],
        ),
        (
            {
                "gen_ai.completion.0.content": "Hello",
                "gen_ai.completion.0.finish_reason": "stop",
                "gen_ai.completion.0.tool_calls.0.id": "t",
                "gen_ai.completion.0.tool_calls.0.name": "find",
                "gen_ai.completion.0.tool_calls.0.arguments": '{"q": [1]}',
            },
            [],
        ),
        (
            {},
            [
                ("gen_ai.content.completion", {"gen_ai.completion": []}),
                (
                    "gen_ai.choice",
                    {
                        "gen_ai.system": "vendor",
                        "finish_reason": "stop",
                        "message": {"content": "Hello", "tool_calls": [function]},
                    },
                ),
            ],
        ),
    ]
    for attributes, events in forms:
        payload, result = read({**LLM, **attributes}, *events)
        assert (result["text"], result["finish_reason"]) == ("Hello", "stop")
        assert result["tool_calls"] == [call]
        assert "attributes" not in payload
        assert "gen_ai.system" not in result["messages"][0]


def test_every_message_keeps_its_place() -> None:
    """Indexed messages are in the order of their numbers, and a broken name disturbs no other."""
    attributes = {f"gen_ai.prompt.{number}.content": str(number) for number in range(12)}
    payload, _ = read({**LLM, "gen_ai.prompt.3": "a leaf", **attributes})

    assert [one["content"] for one in payload["messages"]] == [
        str(number) if number != 3 else "a leaf" for number in range(12)
    ]


def test_nested_messages_have_no_empty_members() -> None:
    """The text of a message counts before its parts, and a message may have neither."""
    nested = "llm.input_messages"
    payload, _ = read(
        {
            f"{nested}.0.message.content": "plain",
            f"{nested}.0.message.contents.0.message_content.text": "a part",
            f"{nested}.1.message.tool_calls.0.tool_call.id": "t",
        }
    )

    assert payload["messages"] == [{"content": "plain"}, {"tool_calls": [{"id": "t"}]}]


def test_events_are_messages_of_their_role() -> None:
    """The role of a message is in the name of its event, and plain text is a message."""
    roles = ("system", "user", "assistant", "tool")
    events = [
        (f"gen_ai.{role}.message", {"content": role, "tool_calls": '[{"id": 1}]'}) for role in roles
    ]
    prompt = ("gen_ai.content.prompt", {"gen_ai.prompt": "plain"})
    payload, _ = read(LLM, ("other", {"content": "no"}), *events, prompt)

    assert payload["messages"] == [
        *({"role": role, "content": role, "tool_calls": [{"id": 1}]} for role in roles),
        {"content": "plain"},
    ]


def test_lists_of_texts_and_documents_are_unwrapped() -> None:
    """Embedded texts come without vectors, and documents and tools without their wrapping."""
    payload, _ = read(
        {
            "embedding.embeddings.0.embedding.text": "a",
            "embedding.embeddings.0.embedding.vector": [0.5],
            "llm.tools.0.tool.json_schema": '{"name": "find"}',
            "llm.tools.1.tool.json_schema": '{"name": "ask", "api_key": "k"}',
            "llm.invocation_parameters": '{"top_p": 1, "n": 2}',
            "gen_ai.request.top_p": 3,
        }
    )
    functions, _ = read({"llm.request.functions.0.name": "find"})

    assert payload["input"] == ["a"]
    assert payload["tools"] == [{"name": "find"}, {"name": "ask", "api_key": "[removed]"}]
    assert payload["parameters"] == {"top_p": 3, "n": 2}
    assert functions["tools"] == [{"name": "find"}]
    for prefix in ("retrieval.documents", "reranker.output_documents"):
        _, result = read({f"{prefix}.0.document.content": "x", f"{prefix}.1.document.score": 0.5})
        assert result == {"documents": [{"content": "x"}, {"score": 0.5}]}


def test_an_empty_result_is_a_result() -> None:
    """What a tool or a retriever returned is kept, also if it is null, empty, false or 0."""
    for text, value in (("null", None), ("[]", []), ("false", False), ("0", 0), ("", "")):
        assert read({"gen_ai.tool.call.result": text})[RESULT] == {"output": value}
        assert read({"gen_ai.retrieval.documents": text})[RESULT] == {"documents": value}
        assert read({"gen_ai.tool.call.arguments": text})[PAYLOAD]["input"] == value


def test_the_origin_of_a_span_is_kept() -> None:
    """Trace, span and instrumentation are in `otel`; a span without them has no such member."""
    ids = {"trace_id": "t", "span_id": "s", "scope": "lib"}
    payload, _ = payload_and_result(OtelSpan("a", {}, **ids))

    assert payload == {"name": "a", "otel": ids}
    assert payload_and_result(OtelSpan("a", {})) == ({"name": "a"}, {})
