"""An agent span: one step of a run, and the transitions of its status.

    create              → pending | active | complete | failed | cancelled
    active    finish    → complete | failed | cancelled
    pending   finish    → cancelled
    run terminated      : pending, active → cancelled (flagged, see below)

A span that was closed because its run was terminated may still be finished once, because its agent
could not know, and the last results of a stopped run matter most. Any other finish of an ended span
is rejected.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.errors import InvalidAction, Limit, TooLarge

SpanStatus: TypeAlias = Literal["pending", "active", "complete", "failed", "cancelled"]
FINISHED: Final = frozenset({"complete", "failed", "cancelled"})

# Flags are bits of one integer, because there are many rows and few filters by flag.
CLOSED_BY_TERMINATION: Final = 1
UNREGISTERED_TYPE: Final = 2
FINISHED_BEFORE_STARTED: Final = 4
SENSITIVE_ENCODING: Final = 8
# 16 is used by the skeleton.
SENSITIVE_DISCARDED: Final = 32
FINISHED_LATE: Final = 64
"""Its agent finished it after the termination of its run had closed it."""


class AgentSpan(NamedTuple):
    """One span. Its payloads are stored separately, as ``SpanPayload``.

    ``payload_problem`` and ``result_problem`` are None when nothing was checked, an empty string
    when the payload matches its schema, and an explanation otherwise.
    """

    id: str
    account_id: str
    agent_id: str
    environment_id: str
    agent_instance_id: str
    parent_span_id: str | None
    schema_name: str
    schema_title: str | None
    inserted_at: int
    payload_size: int
    payload_problem: str | None
    status: SpanStatus
    started_at: int | None
    finished_at: int | None
    summary: str | None
    flags: int
    result_size: int
    result_problem: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    model: str | None
    tool_name: str | None
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    def check_can_finish(self, status: SpanStatus) -> None:
        """Reject a finish that the state machine does not allow.

        Raises:
            InvalidAction: the span has ended, or is pending and was not cancelled.
        """
        if self.status == "active" or self.flags & CLOSED_BY_TERMINATION:
            return
        if self.status != "pending":
            raise InvalidAction(f"Span is already {self.status}")
        if status != "cancelled":
            raise InvalidAction("Span must be active to finish; it is pending")

    def close_by_termination(self, now: int) -> AgentSpan:
        """Return the span after its run was terminated. An ended span does not change."""
        if self.status in FINISHED:
            return self
        return self._replace(
            status="cancelled",
            started_at=now if self.started_at is None else self.started_at,
            finished_at=now,
            flags=self.flags | CLOSED_BY_TERMINATION | time_flags(self.started_at, now),
            updated_at=now,
        )


class SpanPayload(NamedTuple):
    """One payload of a span, encoded for storage. ``part`` is PARAMS or RESULT."""

    account_id: str
    span_id: str
    part: int
    codec: int
    body: bytes


class NewSpanPayload(SpanPayload):
    """A payload from a request, with its JSON before it was encoded for storage."""

    document: bytes


PARAMS: Final = 0
RESULT: Final = 1


def time_flags(started_at: int | None, finished_at: int | None) -> int:
    """Return the flag of a span that ends before it starts. Clocks differ, so it is accepted."""
    if started_at is not None and finished_at is not None and finished_at < started_at:
        return FINISHED_BEFORE_STARTED
    return 0


def check_payload_bytes(spans: Iterable[AgentSpan], max_bytes: int | None) -> None:
    """Reject spans whose payloads are too large to be read together.

    Raises:
        TooLarge: they have more than ``max_bytes``.
    """
    if max_bytes is None:
        return
    size = sum(span.payload_size + span.result_size for span in spans)
    if size > max_bytes:
        raise TooLarge(
            f"The payloads of these spans have {size} bytes, and one page has at most {max_bytes}: "
            "ask for fewer spans at once, with a smaller pagination[page_size] or fewer ids",
            Limit("page_bytes", max_bytes),
        )
