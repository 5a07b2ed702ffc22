"""Records calls of Anthropic's Python client: `pip install "anthropic>=0.50"`.

`instrument(recorder)` records the calls of every client, `instrument_client(client)` those of one.
A call becomes a span of the type `anthropic:message` below the current span; see `SPAN_TYPES`.
"""

from prefactor_recorder.integrations.anthropic.client import (
    SPAN_TYPES,
    instrument,
    instrument_client,
    uninstrument,
    uninstrument_client,
)

__all__ = ["SPAN_TYPES", "instrument", "instrument_client", "uninstrument", "uninstrument_client"]
