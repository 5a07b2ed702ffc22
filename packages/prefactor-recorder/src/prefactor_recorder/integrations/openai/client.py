"""Records calls of OpenAI's Python client: `pip install "openai>=1.60"`.

`instrument(recorder)` records the calls of every client, `instrument_client(client)` those of one.
A call becomes a span below the span that is current where it is made; see `SPAN_TYPES`.
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
"""The span types that calls are recorded as."""
SPAN_TYPES.span_type(
    "openai:chat",
    title="OpenAI chat completion",
    description="One call of Chat Completions, retries and the reading of a stream included.",
    template="{{ model }}: {{ text | default: finish_reason | truncate: 120 }}",
)
SPAN_TYPES.span_type(
    "openai:response",
    title="OpenAI response",
    description="One call of the Responses API, retries and the reading of a stream included.",
    template="{{ model }}: {{ text | default: finish_reason | truncate: 120 }}",
)
SPAN_TYPES.span_type(
    "openai:embedding",
    title="OpenAI embedding",
    description="One call of Embeddings: how many vectors of how many dimensions came of it.",
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
    """Record the calls of every OpenAI client, those for Azure and so on included.

    A call is recorded in the run that it is made in, whichever recorder that belongs to; outside
    of every run it is not recorded, which is said once. Harmless when repeated.

    Args:
        recorder: Declares `SPAN_TYPES` with its runs from now on.
    """
    recorder.include(SPAN_TYPES)
    _VENDOR.install()


def uninstrument() -> None:
    """No longer record the calls of clients, except those that are recorded one by one."""
    _VENDOR.remove()


def instrument_client(client: Client) -> Client:
    """Record the calls of one client, and of the copies that its `with_options` makes from now on.

    Declare `SPAN_TYPES` with the recorder yourself: `recorder.include(SPAN_TYPES)`.

    Returns:
        The same client.
    """
    _VENDOR.install_in(client)
    return client


def uninstrument_client(client: openai.OpenAI | openai.AsyncOpenAI) -> None:
    """No longer record the calls of one client, unless those of all are recorded."""
    _VENDOR.remove_from(client)
