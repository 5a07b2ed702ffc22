"""Messages that arrive after their span, as events."""

from typing import Any

from prefactor_otel.late_events import with_events

QUESTION = ("gen_ai.user.message", {"content": "Hello?"})
ASKED = [{"role": "user", "content": "Hello?"}]
CALL = {"id": "t", "name": "find", "arguments": {"q": 1}}
ANSWER = ("gen_ai.choice", {"finish_reason": "stop", "message": {"content": "Hi"}})
ANSWERED = [{"role": "assistant", "finish_reason": "stop", "content": "Hi"}]
OWN = [{"content": "own"}]


def test_messages_are_added_to_a_span_without_them() -> None:
    """Later events replace the messages of earlier ones, and the reason of the span stays."""
    for before, messages in (([], None), ([QUESTION, ANSWER], (ASKED, ANSWERED))):
        payload: dict[str, Any] = {"model": "m"}
        result: dict[str, Any] = {"finish_reason": "length"}
        if messages is not None:
            payload["messages"], result["messages"] = messages
        after = [QUESTION, ANSWER, QUESTION]
        assert with_events(payload, result, before, after) == (
            {"model": "m", "messages": [*ASKED, *ASKED]},
            {"finish_reason": "length", "text": "Hi", "messages": ANSWERED},
        )


def test_messages_of_the_span_are_kept() -> None:
    """What the span itself recorded is not replaced."""
    own = ({"messages": OWN}, {"messages": OWN, "text": "own"})

    assert with_events(*own, [], [QUESTION, ANSWER]) == own
    assert with_events({}, {}, [], []) == ({}, {})


def test_an_event_with_all_messages_takes_precedence() -> None:
    """The newest form has the messages as attributes of one event."""
    parts = [{"type": "text", "content": "Hi"}, {"type": "tool_call", **CALL}]
    details = {
        "gen_ai.input.messages": '[{"content": "own"}]',
        "gen_ai.output.messages": [{"parts": parts, "finish_reason": "stop"}],
    }
    payload, result = with_events({}, {}, [], [QUESTION, ANSWER, ("details", details)])

    assert payload == {"messages": OWN}
    assert (result["text"], result["tool_calls"], result["finish_reason"]) == ("Hi", [CALL], "stop")
