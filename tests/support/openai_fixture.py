"""Bodies and chunks of a fake OpenAI server, and what was recorded of them."""

from typing import Any

from journal_fixture import RecordingJournal
from prefactor_recorder.encoding.record import Operation

MESSAGES: Any = [{"role": "user", "content": "Hello"}]
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
TOKENS = USAGE


def completion(message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a chat completion as the API sends it."""
    said = message or {"role": "assistant", "content": "Hi there"}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": said}],
        "usage": USAGE,
        **more,
    }


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk of a streamed chat completion."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1-2026",
        "choices": choices,
        **more,
    }


CHUNKS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hi "}),
    chunk({"content": "there"}),
    chunk({}, "stop"),
    chunk(None, usage=USAGE),
    "[DONE]",
]


def begun(journal: RecordingJournal) -> dict[str, Any]:
    """The one span that began."""
    (span,) = journal.of_operation(Operation.CREATE_SPAN)
    return span


def ended(journal: RecordingJournal) -> dict[str, Any]:
    """The one span that ended."""
    (span,) = journal.of_operation(Operation.FINISH_SPAN)
    return span
