"""An agent instance: one run of an agent, and the transitions of its status.

    register            → pending
    pending   start     → active
    active    finish    → complete | failed | cancelled
    pending   finish    → cancelled          (a run that never started)
    active    terminate → terminated         (stopped from outside; never reversed)
    active    silence   → complete | failed  (provisional, see ``ended_by``)

Any other transition is rejected. When the server ends a silent run, that end is provisional: a
later end from the agent replaces it, once, and the run can still be terminated. An OpenTelemetry
run has a root for each span without a parent in its agent's process. Each root may end the run. The
worst status and the latest end win, so the order of the roots does not matter.

An active run whose agent fell silent is marked as abandoned. This is not a status, because clients
know only the six above. The mark is removed when the agent sends something, and when the run ends.
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
OPEN_STATUSES: Final[frozenset[InstanceStatus]] = frozenset({"pending", "active"})
"""The statuses of a run that has not ended."""

Purpose: TypeAlias = Literal["live", "smoke_test", "eval"]

EndedBy: TypeAlias = Literal["idle", "abandoned"]
"""Why the server ended a run: no span arrived for a while, or the run stayed abandoned."""

MAX_REASON_LENGTH: Final = 2000
_SEVERITY: Final[Sequence[str]] = ("complete", "cancelled", "failed")


class AgentInstance(NamedTuple):
    """One run. The five ``*_spans`` are its span counts, updated as spans are written."""

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
    """Why the server ended the run. None if its agent or a person did, or it has not ended."""
    abandoned_at: int | None = None
    """When the server marked it as abandoned, or None."""
    last_seen_at: int | None = None
    """When its agent last wrote to it, heartbeats aside; None if that was not recorded."""
    imported_at: int | None = None
    """When it was imported from another server; None if it was registered here."""

    @property
    def span_total(self) -> int:
        """The number of its spans."""
        open_spans = self.pending_spans + self.active_spans
        return open_spans + self.complete_spans + self.failed_spans + self.cancelled_spans

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its keys: its id, and its agent with its external identifier."""
        if self.external_identifier is None:
            return ((self.id,),)
        return ((self.id,), (self.agent_id, "external_identifier", self.external_identifier))

    def start(self, at: int, now: int) -> AgentInstance:
        """Return the run, started.

        Raises:
            InvalidAction: it is not pending.
        """
        if self.status != "pending":
            raise self.refusal(f"Agent instance is already {self.status}")
        seen_at = self._latest_seen(now)
        return self._replace(status="active", started_at=at, updated_at=now, last_seen_at=seen_at)

    def finish(self, status: FinishStatus, at: int, now: int) -> AgentInstance:
        """Return the run, ended by its agent.

        Raises:
            InvalidAction: it has already ended, or never started and was not cancelled.
        """
        if self.status == "active" or self.ended_by is not None:
            return self._replace(
                status=status,
                finished_at=at,
                updated_at=now,
                ended_by=None,
                abandoned_at=None,
                last_seen_at=self._latest_seen(now),
            )
        if self.status == "pending" and status == "cancelled":
            cancelled = self._replace(status=status, started_at=at, finished_at=at)
            return cancelled._replace(updated_at=now, last_seen_at=self._latest_seen(now))
        if self.status == "pending":
            raise InvalidAction(f"Agent instance must be active to become {status}; it is pending")
        raise self.refusal(f"Agent instance is already {self.status}")

    def start_earlier(self, at: int, now: int) -> AgentInstance:
        """Return the run with a span that started at ``at``, perhaps its first or earliest."""
        status = "active" if self.status == "pending" else self.status
        if status == self.status and self.started_at is not None and self.started_at <= at:
            return self
        return self._replace(status=status, started_at=at, updated_at=now)

    def end_by_root(self, status: FinishStatus, at: int, now: int) -> AgentInstance:
        """Return the run after one of its roots ended. A terminated run does not change."""
        if self.status == "terminated":
            return self
        if self.status in OPEN_STATUSES or self.ended_by is not None:
            return self.finish(status, at, now)
        worst = max(status, self.status, key=_SEVERITY.index)
        latest = max(at, self.finished_at or at)
        if (worst, latest) == (self.status, self.finished_at):
            return self
        return self._replace(status=worst, finished_at=latest, updated_at=now)

    def end_by_silence(self, at: int, now: int) -> AgentInstance:
        """Return the active run, ended by the server because no span arrived."""
        return self._end_provisionally("complete", "idle", at, now)

    def end_by_abandonment(self, now: int) -> AgentInstance:
        """Return the abandoned run, ended by the server as of its last sign of life."""
        at = max(self.seen_at, self.started_at or 0)
        return self._end_provisionally("failed", "abandoned", at, now)

    def _end_provisionally(
        self, status: FinishStatus, ended_by: EndedBy, at: int, now: int
    ) -> AgentInstance:
        ended = self.finish(status, at, now)
        return ended._replace(ended_by=ended_by, last_seen_at=self.last_seen_at)

    @property
    def seen_at(self) -> int:
        """When its agent last wrote to it, or else the last change of the row."""
        return self.updated_at if self.last_seen_at is None else self.last_seen_at

    @property
    def is_silent_import(self) -> bool:
        """Whether the run was imported and its agent has sent nothing since.

        Its events go to no webhook.
        """
        changed_at = max(self.seen_at, self.abandoned_at or 0)
        return self.imported_at is not None and changed_at <= self.imported_at

    def abandon(self, now: int) -> AgentInstance:
        """Return the active run, marked as abandoned."""
        # Rows older than the column have only `updated_at`, which this change overwrites.
        return self._replace(abandoned_at=now, updated_at=now, last_seen_at=self.seen_at)

    def mark_seen(self, now: int) -> AgentInstance:
        """Return the run as seen now, and without the abandoned mark."""
        seen_at = self._latest_seen(now)
        if self.abandoned_at is None:
            return self._replace(last_seen_at=seen_at)
        return self._replace(abandoned_at=None, last_seen_at=seen_at, updated_at=now)

    def _latest_seen(self, now: int) -> int:
        # Servers decide out of the order of their clocks, and a sign of life is not taken back.
        return now if self.last_seen_at is None else max(self.last_seen_at, now)

    def refusal(self, message: str) -> InvalidAction:
        """Return the error for the run's agent, which may not know that the run was terminated."""
        if self.status == "terminated":
            return RunTerminated(message, self.termination_reason)
        return InvalidAction(message)

    def terminate(self, reason: str, now: int) -> AgentInstance:
        """Return the run, stopped from outside. Its open spans are cancelled with it.

        Raises:
            InvalidAction: it is not active.
        """
        if self.status == "pending":
            raise InvalidAction("Agent instance must be active to be terminated; it is pending")
        if self.status != "active" and self.ended_by is None:
            raise InvalidAction(f"Agent instance is already {self.status}")
        return self.with_spans_closed()._replace(
            status="terminated",
            finished_at=now,
            ended_by=None,
            abandoned_at=None,
            termination_reason=reason,
            updated_at=now,
        )

    def with_spans_closed(self) -> AgentInstance:
        """Return the run with its open spans counted as cancelled."""
        return self._replace(
            pending_spans=0,
            active_spans=0,
            cancelled_spans=self.cancelled_spans + self.pending_spans + self.active_spans,
        )

    def count_span(self, status: SpanStatus, now: int | None) -> AgentInstance:
        """Return the run with one more span of a status."""
        # Runs for every written span: this has a third of the cost of `_replace`.
        values: list[Any] = list(self)
        values[_COUNTERS[status]] += 1
        if now is None:
            # An imported span is no sign of life from the run's agent.
            return AgentInstance._make(values)
        values[_LAST_SEEN] = self._latest_seen(now)
        run = AgentInstance._make(values)
        return run if self.abandoned_at is None else run.mark_seen(now)

    def recount_span(self, before: SpanStatus, after: SpanStatus, now: int) -> AgentInstance:
        """Return the run after the status of one of its spans changed."""
        values: list[Any] = list(self)
        values[_COUNTERS[before]] -= 1
        return AgentInstance._make(values).count_span(after, now)


class InstanceCounts(NamedTuple):
    """The number of runs of an agent by status."""

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
