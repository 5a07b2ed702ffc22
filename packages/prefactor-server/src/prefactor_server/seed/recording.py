"""A generated run: a clock and nested spans."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from prefactor_server.domain.times import MILLISECOND_US, format_time
from prefactor_server.seed.span_types import Json


class SpanFailed(Exception):
    """A span failed, and its parent fails with it. ``error`` is the recorded error."""

    def __init__(self, error: Json) -> None:
        super().__init__(error)
        self.error = error


class ReachedPresent(Exception):
    """The recording has reached the present, after which nothing can be recorded."""


class OpenSpan(NamedTuple):
    """A span in progress, as its create request."""

    fields: Json
    started_at: int


class Recording:
    """The spans of one run by start, which is also the order of sending.

    ``until`` is the present, after which nothing is recorded.
    """

    def __init__(self, run_id: str, agent: str, random: Random, start: int, until: int) -> None:
        self.run_id = run_id
        self.agent = agent
        self.random = random
        self.now = start
        self._until = until
        self._spans: list[OpenSpan] = []
        self._stack: list[OpenSpan] = []
        self._count = 0

    @property
    def is_over(self) -> bool:
        """Whether the recording has reached the present."""
        return self.now >= self._until

    @property
    def count(self) -> int:
        """The number of spans so far."""
        return self._count

    def take(self) -> list[Json]:
        """Return the new spans since the last call. All must be closed."""
        spans, self._spans = self._spans, []
        return [span.fields for span in spans]

    def wait(self, low_ms: float, high_ms: float) -> None:
        """Advance the clock, mostly a little and sometimes a lot, as with network latency."""
        share = self.random.random() ** 3
        self.now += int((low_ms + (high_ms - low_ms) * share) * MILLISECOND_US)

    def open(self, kind: str, payload: Json, *, sensitive: bool = False) -> OpenSpan:
        """Begin a span below the current one.

        Raises:
            ReachedPresent: it would begin in the future. Open spans stay open.
        """
        if self._stack and self.is_over:
            raise ReachedPresent
        fields: Json = {
            "agent_instance_id": self.run_id,
            "id": f"{self.run_id}-{self._count:05}",
            "schema_name": f"{self.agent}:{kind}",
            "status": "active",
            "started_at": format_time(self.now),
            "payload": payload,
        }
        if self._stack:
            fields["parent_span_id"] = self._stack[-1].fields["id"]
        if sensitive:
            fields["sensitive_encoding"] = True
        self._count += 1
        span = OpenSpan(fields, self.now)
        self._spans.append(span)
        self._stack.append(span)
        return span

    def close(self, span: OpenSpan, result: Json, status: str = "complete") -> None:
        """End the innermost span.

        Raises:
            ReachedPresent: it would end in the future, so it stays open.
        """
        popped = self._stack.pop()
        if popped is not span:
            raise ValueError("only the innermost span can be closed")
        if self.is_over:
            raise ReachedPresent
        span.fields["status"] = status
        span.fields["finished_at"] = format_time(self.now)
        span.fields["result_payload"] = result

    def fail(self, span: OpenSpan, kind: str, message: str, **more: Any) -> Json:
        """End the innermost span with an error, and return the error."""
        error = {"type": kind, "message": message}
        self.close(span, {"error": error, **more}, "failed")
        return error
