"""Results that integrations record for tools, and the responses that contain them."""

from typing import Any

import anthropic
import openai

from journal_fixture import RecordingJournal, make_run
from model_api import ModelApi
from prefactor_recorder.encoding.record import Operation

MESSAGES: Any = [{"role": "user", "content": "Hello"}]


def openai_result(model_api: ModelApi, answer: Any, *, responses: bool = False) -> Any:
    """Return what is recorded of one call, streamed if the answer is a list."""
    journal = RecordingJournal()
    model_api.answer(answer)
    streamed = isinstance(answer, list)
    with (
        openai.OpenAI(api_key="sk", base_url=model_api.url, max_retries=0) as client,
        make_run(journal),
    ):
        made: Any = (
            client.responses.create(model="m", input="Hello", stream=streamed)
            if responses
            else client.chat.completions.create(model="m", messages=MESSAGES, stream=streamed)
        )
        _ = list(made) if streamed else made
    return journal.of_operation(Operation.FINISH_SPAN)[0]["result_payload"]


def anthropic_result(model_api: ModelApi, answer: Any) -> Any:
    """The same of Anthropic's client."""
    journal = RecordingJournal()
    model_api.answer(answer)
    with (
        anthropic.Anthropic(api_key="sk", base_url=model_api.url, max_retries=0) as client,
        make_run(journal),
    ):
        made: Any = client.messages.create(
            model="m", max_tokens=9, messages=MESSAGES, stream=isinstance(answer, list)
        )
        _ = list(made) if isinstance(answer, list) else made
    return journal.of_operation(Operation.FINISH_SPAN)[0]["result_payload"]


def same(found: Any, expected: Any) -> bool:
    """Return whether values are equal and of one type: 0 is not False."""
    return found == expected and type(found) is type(expected)


def response_body(output: list[Any]) -> dict[str, Any]:
    """A response with that output."""
    head = {"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
    more = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**head, **more, "output": output}


def anthropic_message(content: list[Any], **more: Any) -> dict[str, Any]:
    """A message with that content."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "usage": usage}
    return {**head, "content": content, "stop_reason": "tool_use", "stop_sequence": None, **more}
