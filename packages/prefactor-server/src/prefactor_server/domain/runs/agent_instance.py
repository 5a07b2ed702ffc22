"""An agent instance: one run of an agent, and the moves its status can make.

    register            → pending
    pending   start     → active
    active    finish    → complete | failed | cancelled
    pending   finish    → cancelled          (a run that never started)
    active    terminate → terminated         (stopped from outside; never reversed)
    active    silence   → complete | failed  (provisional, see ``ended_by``)

Every other move is refused. An end that the server gave a silent run is provisional: what the agent
says later replaces it, once, and the run can still be terminated. A run from OpenTelemetry has as
many roots as its agent has spans without a parent in the process. Each may end it: the worst status
and the latest end stay, so their order does not matter.

An active run whose agent fell silent is marked as abandoned. That is no status, because clients
know the six above and no other. The mark goes when the agent is heard of again, and with any end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.errors import InvalidAction, RunTerminated
from prefactor_server.domain.runs.agent_span import SpanStatus

InstanceStatus: TypeAlias = Literal[
    "pending", "active", "complete", "failed", "cancelled", "terminated"
]
FinishStatus: TypeAlias = Literal["complete", "failed", "cancelled"]
Purpose: TypeAlias = Literal["live", "smoke_test", "eval"]

EndedBy: TypeAlias = Literal["idle", "abandoned"]
"""Why the server ended a run by itself: no span came for a while, or it stayed abandoned."""

MAX_REASON_LENGTH: Final = 2000
_SEVERITY: Final[Sequence[str]] = ("complete", "cancelled", "failed")


class AgentInstance(NamedTuple):
    """One run. The five ``*_spans`` are its span counts, kept as spans are written."""

    id: str
    account_id: str
    agent_id: str
    agent_version_id: str
    agent_schema_version_id: str
    agent_deployment_id: str
    environment_id: str
    external_identifier: str | None
    purpose: Purpose
    inserted_at: int
    status: InstanceStatus
    started_at: int | None
    finished_at: int | None
    termination_reason: str | None
    pending_spans: int
    active_spans: int
    complete_spans: int
    failed_spans: int
    cancelled_spans: int
    updated_at: int
    ended_by: EndedBy | None = None
    """Why the server ended it; None if its agent or an operator did, or it goes on."""
    abandoned_at: int | None = None
    """When the server marked it as abandoned; None while its agent is heard of."""
    last_seen_at: int | None = None
    """When its agent last wrote something of it, heartbeats aside; None if that was not kept."""
    imported_at: int | None = None
    """When it was taken over from another server; None if it was registered here."""

    @property
    def span_total(self) -> int:
        """How many spans it has."""
        open_spans = self.pending_spans + self.active_spans
        return open_spans + self.complete_spans + self.failed_spans + self.cancelled_spans

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its id, and by its agent and external identifier."""
        if self.external_identifier is None:
            return ((self.id,),)
        return ((self.id,), (self.agent_id, "external_identifier", self.external_identifier))

    def start(self, at: int, now: int) -> AgentInstance:
        """The run after it started.

        Raises:
            InvalidAction: it is not pending.
        """
        if self.status != "pending":
            raise self.refusal(f"Agent instance is already {self.status}")
        return self._replace(status="active", started_at=at, updated_at=now, last_seen_at=now)

    def finish(self, status: FinishStatus, at: int, now: int) -> AgentInstance:
        """The run after it ended by itself.

        Raises:
            InvalidAction: it has ended already, or never started and was not cancelled.
        """
        if self.status == "active" or self.ended_by is not None:
            return self._replace(
                status=status,
                finished_at=at,
                updated_at=now,
                ended_by=None,
                abandoned_at=None,
                last_seen_at=now,
            )
        if self.status == "pending" and status == "cancelled":
            cancelled = self._replace(status=status, started_at=at, finished_at=at)
            return cancelled._replace(updated_at=now, last_seen_at=now)
        if self.status == "pending":
            raise InvalidAction(f"Agent instance must be active to become {status}; it is pending")
        raise self.refusal(f"Agent instance is already {self.status}")

    def start_earlier(self, at: int, now: int) -> AgentInstance:
        """Return the run after a span that started at ``at``, which may be its first."""
        status = "active" if self.status == "pending" else self.status
        if status == self.status and self.started_at is not None and self.started_at <= at:
            return self
        return self._replace(status=status, started_at=at, updated_at=now)

    def end_by_root(self, status: FinishStatus, at: int, now: int) -> AgentInstance:
        """Return the run after one of its roots ended. A terminated one stays as it is."""
        if self.status == "terminated":
            return self
        if self.status in {"pending", "active"} or self.ended_by is not None:
            return self.finish(status, at, now)
        worst = max(status, self.status, key=_SEVERITY.index)
        latest = max(at, self.finished_at or at)
        if (worst, latest) == (self.status, self.finished_at):
            return self
        return self._replace(status=worst, finished_at=latest, updated_at=now)

    def end_by_silence(self, at: int, now: int) -> AgentInstance:
        """Return an active run after the server ended it, because nothing came of it."""
        return self._end_provisionally("complete", "idle", at, now)

    def end_by_abandonment(self, now: int) -> AgentInstance:
        """Return an abandoned run after the server ended it, as of when it was last heard of."""
        at = max(self.seen_at, self.started_at or 0)
        return self._end_provisionally("failed", "abandoned", at, now)

    def _end_provisionally(
        self, status: FinishStatus, ended_by: EndedBy, at: int, now: int
    ) -> AgentInstance:
        ended = self.finish(status, at, now)
        return ended._replace(ended_by=ended_by, last_seen_at=self.last_seen_at)

    @property
    def seen_at(self) -> int:
        """When its agent last wrote something of it, as far as that is known."""
        return self.updated_at if self.last_seen_at is None else self.last_seen_at

    @property
    def is_silent_import(self) -> bool:
        """Whether it was imported and its agent has not been heard of here: nobody is told."""
        heard_at = max(self.seen_at, self.abandoned_at or 0)
        return self.imported_at is not None and heard_at <= self.imported_at

    def abandon(self, now: int) -> AgentInstance:
        """Return an active run after it was marked as abandoned."""
        # What was last seen is kept by `updated_at` in runs that were there before this column.
        return self._replace(abandoned_at=now, updated_at=now, last_seen_at=self.seen_at)

    def hear(self, now: int) -> AgentInstance:
        """Return the run after its agent was heard of."""
        if self.abandoned_at is None:
            return self._replace(last_seen_at=now)
        return self._replace(abandoned_at=None, last_seen_at=now, updated_at=now)

    def refusal(self, message: str) -> InvalidAction:
        """A refusal for the run's agent, which may not know yet that the run was terminated."""
        if self.status == "terminated":
            return RunTerminated(message, self.termination_reason)
        return InvalidAction(message)

    def terminate(self, reason: str, now: int) -> AgentInstance:
        """The run after it was stopped from outside; its open spans end with it, cancelled.

        Raises:
            InvalidAction: it is not active.
        """
        if self.status == "pending":
            raise InvalidAction("Agent instance must be active to be terminated; it is pending")
        if self.status != "active" and self.ended_by is None:
            raise InvalidAction(f"Agent instance is already {self.status}")
        return self._replace(
            status="terminated",
            finished_at=now,
            ended_by=None,
            abandoned_at=None,
            termination_reason=reason,
            pending_spans=0,
            active_spans=0,
            cancelled_spans=self.cancelled_spans + self.pending_spans + self.active_spans,
            updated_at=now,
        )

    def count_span(self, status: SpanStatus, now: int | None) -> AgentInstance:
        """The run with one more span of a status."""
        # Once for every span that is written: this is `_replace` at a third of its cost.
        values: list[Any] = list(self)
        values[_COUNTERS[status]] += 1
        if now is None:
            # The span is imported, which tells nothing of the run's agent.
            return AgentInstance._make(values)
        values[_LAST_SEEN] = now
        run = AgentInstance._make(values)
        return run if self.abandoned_at is None else run.hear(now)

    def recount_span(self, before: SpanStatus, after: SpanStatus, now: int) -> AgentInstance:
        """The run after one of its spans went from one status to another."""
        values: list[Any] = list(self)
        values[_COUNTERS[before]] -= 1
        return AgentInstance._make(values).count_span(after, now)


class InstanceCounts(NamedTuple):
    """How many runs an agent has, by status."""

    pending: int = 0
    active: int = 0
    complete: int = 0
    failed: int = 0
    cancelled: int = 0
    terminated: int = 0


_COUNTERS: Final[dict[SpanStatus, int]] = {
    status: AgentInstance._fields.index(f"{status}_spans")
    for status in ("pending", "active", "complete", "failed", "cancelled")
}
_LAST_SEEN: Final = AgentInstance._fields.index("last_seen_at")
