"""Decides how a span ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefactor_otel.span import OtelSpan

CANCELLED = ("CancelledError", "GeneratorExit", "KeyboardInterrupt")
"""Names of exception classes that cancel a span instead of failing it."""


def status_of(span: OtelSpan) -> Literal["complete", "failed", "cancelled"]:
    """Return the status of an ended span."""
    if not span.is_error:
        return "complete"
    kind = failure_of(span)["error_type"].rpartition(".")[2]
    return "cancelled" if kind in CANCELLED else "failed"


def failure_of(span: OtelSpan) -> dict[str, Any]:
    """Return the error of a failed span, from its exception event or its status."""
    exceptions = [each.attributes for each in span.events if each.name == "exception"]
    error: Mapping[str, Any] = exceptions[-1] if exceptions else {}
    return {
        "error_type": str(error.get("exception.type", span.attributes.get("error.type", "Error"))),
        "message": str(error.get("exception.message", span.status_description or "")),
        "stacktrace": str(error.get("exception.stacktrace", "")),
    }
