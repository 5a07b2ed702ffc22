"""Spans to deliver, and waiting for their delivery."""

from __future__ import annotations

from prefactor_http.testing import (
    ScriptedServer,
)
from recorded import RecordedRun


def spans(run: RecordedRun, count: int, payload: str = "{}") -> RecordedRun:
    """Some spans of a run, each begun and ended."""
    for number in range(count):
        run.span(f"span-{number:08}", payload)
    return run


def bulks(server: ScriptedServer) -> list[int]:
    """How many items each bulk request had."""
    return [len(r.json["items"]) for r in server.requests if r.path.endswith("/bulk")]
