"""What the calling code belongs to, for code that was not handed the run or the span."""

from __future__ import annotations

from prefactor_recorder.context import innermost
from prefactor_recorder.run import Run
from prefactor_recorder.span import Span


def current_run() -> Run | None:
    """The run that the calling code belongs to; None outside every run."""
    found = innermost()
    return found.run if isinstance(found, Span) else found


def current_span() -> Span | None:
    """The innermost span that is open around the calling code; None outside every span."""
    found = innermost()
    return found if isinstance(found, Span) else None


__all__ = ["Run", "Span", "current_run", "current_span"]
