"""Which kind a span is, and how it ended."""

from typing import Any

import pytest

from prefactor_otel.kinds import (
    OPENINFERENCE_KINDS,
    OPERATIONS,
    SPAN_TYPES,
    TRACELOOP_KINDS,
    kind_of,
    span_type_of,
)
from prefactor_otel.outcome import failure_of, status_of
from prefactor_otel.span import OtelSpan, SpanEvent


def test_every_convention_names_a_known_type() -> None:
    """Every name of a kind has its span type, in the order in which the conventions count."""
    named: list[tuple[str, str, str]] = [
        *(("openinference.span.kind", kind.upper(), kind) for kind in OPENINFERENCE_KINDS),
        *(("gen_ai.operation.name", name, kind) for name, kind in OPERATIONS.items()),
        *(("llm.request.type", name, kind) for name, kind in OPERATIONS.items()),
        *(("traceloop.span.kind", name, kind) for name, kind in TRACELOOP_KINDS.items()),
    ]
    for attribute, value, kind in named:
        assert kind_of(OtelSpan("s", {attribute: value})) == kind
        assert kind_of(OtelSpan("s", {attribute: "something new"})) == "step"
        assert span_type_of(kind) in SPAN_TYPES
    attributes: dict[str, Any] = {"gen_ai.other": 1}
    for more, kind in (
        ({"gen_ai.request.model": "m"}, "llm"),
        ({"traceloop.span.kind": "tool"}, "tool"),
        ({"llm.request.type": "rerank"}, "reranker"),
        ({"gen_ai.operation.name": "embeddings"}, "embedding"),
        ({"openinference.span.kind": "GUARDRAIL"}, "guardrail"),
    ):
        attributes |= more
        assert kind_of(OtelSpan("execute_tool x", attributes)) == kind


@pytest.mark.parametrize(
    ("name", "attributes", "kind"),
    [
        ("invoke_agent helper", {}, "agent"),
        ("create_agent", {}, "agent"),
        ("execute_tool find", {}, "tool"),
        ("invoke_workflow w", {}, "chain"),
        ("execute_tools find", {}, None),
        ("chat m-1", {}, None),
        ("chat m-1", {"gen_ai.other": 1}, "step"),
        ("GET /", {"http.route": "/gen_ai."}, None),
    ],
)
def test_a_span_without_a_named_kind(name: str, attributes: Any, kind: str | None) -> None:
    """Its name decides, or an attribute about models; any other span is about something else."""
    assert kind_of(OtelSpan(name, attributes)) == kind
    assert span_type_of(kind) == f"otel:{kind or 'step'}"


def _exception(kind: str, message: str = "m") -> SpanEvent:
    attributes = {"exception.type": kind, "exception.message": message}
    return SpanEvent("exception", {**attributes, "exception.stacktrace": f"at {kind}"})


def test_the_last_exception_is_the_error() -> None:
    """Of several exceptions the last one counts, and without one the attributes of the span do."""
    events = [_exception("First"), _exception("Last", "gone"), SpanEvent("other", {})]
    attributes = {"error.type": "timeout"}
    failed = OtelSpan("s", attributes, events, is_error=True, status_description="why")

    assert failure_of(failed) == {"error_type": "Last", "message": "gone", "stacktrace": "at Last"}
    found = [
        failure_of(OtelSpan("s", attributes, status_description="why")),
        failure_of(OtelSpan("s", {})),
    ]
    assert found == [
        {"error_type": "timeout", "message": "why", "stacktrace": ""},
        {"error_type": "Error", "message": "", "stacktrace": ""},
    ]


@pytest.mark.parametrize(
    ("exception", "status"),
    [
        ("ValueError", "failed"),
        ("NotCancelledErrors", "failed"),
        ("CancelledError", "cancelled"),
        ("asyncio.exceptions.CancelledError", "cancelled"),
        ("GeneratorExit", "cancelled"),
        ("KeyboardInterrupt", "cancelled"),
    ],
)
def test_an_error_decides_the_status(exception: str, status: str) -> None:
    """A span with an error failed or was cancelled; without one it is complete."""
    events = [_exception(exception)]

    assert status_of(OtelSpan("s", {}, events, is_error=True)) == status
    assert status_of(OtelSpan("s", {}, events)) == "complete"
