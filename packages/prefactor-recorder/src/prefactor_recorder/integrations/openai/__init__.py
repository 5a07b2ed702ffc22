"""Records calls of OpenAI's Python client: `pip install "openai>=1.60"`.

`instrument(recorder)` records the calls of every client, `instrument_client(client)` those of one.
A call becomes a span below the current span; see `SPAN_TYPES`.
"""

from prefactor_recorder.integrations.openai.client import (
    SPAN_TYPES,
    instrument,
    instrument_client,
    uninstrument,
    uninstrument_client,
)

__all__ = ["SPAN_TYPES", "instrument", "instrument_client", "uninstrument", "uninstrument_client"]
