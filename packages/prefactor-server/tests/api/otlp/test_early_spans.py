"""Spans that arrive before their trace has a run wait in bounded memory."""

import gzip
import json
from typing import Any

from otlp_request import AGENT, HTTP, JSON, export, request, runs, span

MEBIBYTE = 1024 * 1024
TRACES = [f"{number:032x}" for number in range(1, 19)]


async def test_early_spans_of_the_oldest_traces_make_room(api_client: Any) -> None:
    """Large spans of many traces wait in 16 MiB, and those of the oldest traces are dropped."""
    for trace in TRACES:
        body = {**HTTP, "request.body": "x" * MEBIBYTE}
        early = gzip.compress(json.dumps(request([span(1, None, body, trace=trace)])).encode())
        headers = {**JSON, "Content-Encoding": "gzip"}
        assert (await api_client.post("/otlp/v1/traces", early, headers=headers)).status == 200

    for trace in (TRACES[0], TRACES[-1]):
        await export(api_client, [span(2, 1, AGENT, trace=trace)])

    # A run ends with its root, if that is still known when the run begins.
    newest, oldest = await runs(api_client)
    assert (newest["status"], oldest["status"]) == ("complete", "active")
