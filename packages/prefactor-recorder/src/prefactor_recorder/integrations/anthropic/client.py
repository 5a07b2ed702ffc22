"""Records calls of Anthropic's Python client: `pip install "anthropic>=0.50"`.

`instrument(recorder)` records the calls of every client, `instrument_client(client)` those of one.
A call becomes a span of the type `anthropic:message` below the current span; see `SPAN_TYPES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from prefactor_recorder.integrations._common.call import Endpoint, dump_model
from prefactor_recorder.integrations._common.optional import missing_library
from prefactor_recorder.integrations._common.patching import Vendor
from prefactor_recorder.integrations._common.payloads import request_payload
from prefactor_recorder.integrations.anthropic.results import MessageMerger, message_result
from prefactor_recorder.span_types.registry import SpanTypes

try:
    import anthropic
except ModuleNotFoundError as error:
    raise missing_library("anthropic>=0.50") from error

if TYPE_CHECKING:
    from prefactor_recorder.recorder import Recorder

Client = TypeVar("Client", bound="anthropic.Anthropic | anthropic.AsyncAnthropic")

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
    "anthropic:message",
    title="Anthropic message",
    description="One call of the Messages API, including retries and reading a stream.",
    template="{{ model }}: {{ text | default: finish_reason | truncate: 120 }}",
)

_MESSAGE = Endpoint(
    schema_name="anthropic:message",
    payload=lambda body: request_payload(body, "system", "messages"),
    body=dump_model,
    result=message_result,
    merger=MessageMerger,
)
_VENDOR = Vendor(
    "Anthropic", (anthropic.Anthropic, anthropic.AsyncAnthropic), {"/v1/messages": _MESSAGE}
)


def instrument(recorder: Recorder) -> None:
    """Record the calls of every Anthropic client, including those for Bedrock and Vertex.

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


def uninstrument_client(client: anthropic.Anthropic | anthropic.AsyncAnthropic) -> None:
    """Undo `instrument_client`. The client is still recorded if `instrument` is in effect."""
    _VENDOR.remove_from(client)
