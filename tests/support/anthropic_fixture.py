"""Messages and events of a fake Anthropic server, and what was recorded of them."""

from typing import Any

from journal_fixture import RecordingJournal
from prefactor_recorder.encoding.record import Operation

MESSAGES: Any = [{"role": "user", "content": "Hello"}]
ASKED: dict[str, Any] = {"model": "m-1", "max_tokens": 100, "messages": MESSAGES}
USAGE = {
    "input_tokens": 5,
    "cache_creation_input_tokens": 20,
    "cache_read_input_tokens": 100,
    "output_tokens": 2,
}
TOKENS = {"prompt_tokens": 125, "completion_tokens": 2, "total_tokens": 127}


def message(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a message as the API sends it."""
    return {
        "id": "msg-1",
        "type": "message",
        "role": "assistant",
        "model": "m-1-2026",
        "content": content or [{"type": "text", "text": "Hi there"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **more,
    }


def events(*blocks: list[dict[str, Any]], reason: str = "end_turn") -> list[Any]:
    """Return the events of a streamed message: for each block its start, then its deltas."""
    begun = {**USAGE, "output_tokens": 1}
    head = message(stop_reason=None, usage=begun) | {"content": []}
    listed: list[Any] = [{"type": "message_start", "message": head}, {"type": "ping"}]
    for index, (start, *deltas) in enumerate(blocks):
        listed.append({"type": "content_block_start", "index": index, "content_block": start})
        listed += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        listed.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": reason, "stop_sequence": None}
    listed.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}})
    return [*listed, {"type": "message_stop"}]


WORDS = [
    {"type": "text", "text": ""},
    {"type": "text_delta", "text": "Hi "},
    {"type": "text_delta", "text": "there"},
]
STREAM = events(WORDS)


def begun(journal: RecordingJournal) -> dict[str, Any]:
    """The one span that began."""
    (span,) = journal.of_operation(Operation.CREATE_SPAN)
    return span


def ended(journal: RecordingJournal) -> dict[str, Any]:
    """The one span that ended."""
    (span,) = journal.of_operation(Operation.FINISH_SPAN)
    return span
