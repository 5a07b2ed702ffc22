"""The OpenTelemetry span, ended or open, that the mapping reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class SpanEvent(NamedTuple):
    """One event of a span."""

    name: str
    attributes: Mapping[str, Any]


class OtelSpan(NamedTuple):
    """The fields of a span that the mapping reads.

    `trace_id` and `span_id` are in hexadecimal. `scope` is the name of the instrumentation.
    """

    name: str
    attributes: Mapping[str, Any]
    events: Sequence[SpanEvent] = ()
    trace_id: str | None = None
    span_id: str | None = None
    scope: str | None = None
    is_error: bool = False
    status_description: str | None = None
