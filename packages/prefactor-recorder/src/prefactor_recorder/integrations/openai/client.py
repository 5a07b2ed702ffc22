"""Records calls of OpenAI's Python client: `pip install "openai>=1.60"`.

`instrument(recorder)` records the calls of every client, `instrument_client(client)` those of one.
A call becomes a span below the current span; see `SPAN_TYPES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from prefactor_recorder.integrations._common.call import Endpoint, dump_model
from prefactor_recorder.integrations._common.optional import missing_library
from prefactor_recorder.integrations._common.patching import Vendor
from prefactor_recorder.integrations._common.payloads import request_payload
from prefactor_recorder.integrations.openai.results import (
    chat_result,
    completion_result,
    embedding_body,
    embedding_result,
    response_result,
)
from prefactor_recorder.integrations.openai.streams import (
    ChatMerger,
    CompletionMerger,
    NoMerger,
    ResponseMerger,
)
from prefactor_recorder.span_types.registry import SpanTypes

try:
    import openai
except ModuleNotFoundError as error:
    raise missing_library("openai>=1.60") from error

if TYPE_CHECKING:
    from prefactor_recorder.recorder import Recorder

Client = TypeVar("Client", bound="openai.OpenAI | openai.AsyncOpenAI")

__all__ = [
    "SPAN_TYPES",
    "instrument",
    "instrument_client",
    "uninstrument",
    "uninstrument_client",
]

SPAN_TYPES = SpanTypes()
"""The span types of recorded calls."""
SPAN_TYPES.span_type(
    "openai:chat",
    title="OpenAI chat completion",
    description="One call of Chat Completions, including retries and reading a stream.",
    template="{{ model }}: {{ text | default: finish_reason | truncate: 120 }}",
)
SPAN_TYPES.span_type(
    "openai:response",
    title="OpenAI response",
    description="One call of the Responses API, including retries and reading a stream.",
    template="{{ model }}: {{ text | default: finish_reason | truncate: 120 }}",
)
SPAN_TYPES.span_type(
    "openai:embedding",
    title="OpenAI embedding",
    description="One call of Embeddings, with the number of vectors and of dimensions.",
    template="{{ model }}: {{ vectors | default: 0 }} vectors",
)
SPAN_TYPES.span_type(
    "openai:completion",
    title="OpenAI completion",
    description="One call of the legacy Completions.",
    template="{{ model }}: {{ text | default: finish_reason | truncate: 120 }}",
)

_ENDPOINTS = {
    "/chat/completions": Endpoint(
        schema_name="openai:chat",
        payload=lambda body: request_payload(body, "messages"),
        body=dump_model,
        result=chat_result,
        merger=ChatMerger,
    ),
    "/responses": Endpoint(
        schema_name="openai:response",
        payload=lambda body: request_payload(body, "instructions", "input"),
        body=dump_model,
        result=response_result,
        merger=ResponseMerger,
    ),
    "/embeddings": Endpoint(
        schema_name="openai:embedding",
        payload=lambda body: request_payload(body, "input"),
        body=embedding_body,
        result=embedding_result,
        merger=NoMerger,
    ),
    "/completions": Endpoint(
        schema_name="openai:completion",
        payload=lambda body: request_payload(body, "prompt"),
        body=dump_model,
        result=completion_result,
        merger=CompletionMerger,
    ),
}
_VENDOR = Vendor("OpenAI", (openai.OpenAI, openai.AsyncOpenAI), _ENDPOINTS)


def instrument(recorder: Recorder) -> None:
    """Record the calls of every OpenAI client, including those for Azure.

    A call is recorded in the current run, regardless of that run's recorder. Outside a run it is
    not recorded, which is logged once. Calling this again is harmless.

    Args:
        recorder: Its later runs declare `SPAN_TYPES`.
    """
    recorder.include(SPAN_TYPES)
    _VENDOR.install()


def uninstrument() -> None:
    """Undo `instrument`. Clients instrumented individually are still recorded."""
    _VENDOR.remove()


def instrument_client(client: Client) -> Client:
    """Record the calls of one client, and of copies made later by its `with_options`.

    Declare the span types yourself: `recorder.include(SPAN_TYPES)`.

    Returns:
        The same client.
    """
    _VENDOR.install_in(client)
    return client


def uninstrument_client(client: openai.OpenAI | openai.AsyncOpenAI) -> None:
    """Undo `instrument_client`. The client is still recorded if `instrument` is in effect."""
    _VENDOR.remove_from(client)
