"""Retention: which runs are old enough to delete, and how much deleting them frees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from prefactor_server.domain.audit import AuditEntry


class Retention(NamedTuple):
    """Runs of an account that ended before a time, perhaps only of one agent or environment.

    A run that has not ended never counts as old, and a run on legal hold is never deleted.
    """

    account_id: str
    ended_before: int
    agent_id: str | None = None
    environment_id: str | None = None


class Pruned(NamedTuple):
    """What was, or would be, deleted. The bytes are those of the stored payloads."""

    runs: int = 0
    spans: int = 0
    payload_bytes: int = 0
    audit_entries: int = 0

    def plus(self, other: Pruned) -> Pruned:
        """Return the sum of both."""
        return Pruned(
            self.runs + other.runs,
            self.spans + other.spans,
            self.payload_bytes + other.payload_bytes,
            self.audit_entries + other.audit_entries,
        )

    def __str__(self) -> str:
        """Describe it, for the audit log."""
        if self.audit_entries:
            return f"{self.audit_entries} entries"
        return f"{self.runs} runs, {self.spans} spans, {self.payload_bytes} bytes of payloads"


class DeletionRecord(NamedTuple):
    """The audit log's entry about a deletion, which grows with every slice of it.

    ``at`` is when the deletion began, ``rule`` describes which runs it deletes, and ``so_far`` is
    what its earlier slices deleted.
    """

    account_id: str
    at: int
    actor: str
    action: str
    resource_id: str
    rule: str
    so_far: Pruned = Pruned()

    def entry(self) -> AuditEntry:
        """Return the entry about everything deleted so far."""
        detail = f"{self.rule}: {self.so_far}"
        return AuditEntry(
            self.account_id, self.at, self.actor, self.action, self.resource_id, detail
        )

    def plus(self, pruned: Pruned) -> DeletionRecord:
        """Return the record after another slice."""
        return self._replace(so_far=self.so_far.plus(pruned))


class Deletion(NamedTuple):
    """Runs to delete in one transaction.

    A run is kept if it is on legal hold by then, or turns out to have ended later.
    """

    account_id: str
    run_ids: Sequence[str]
    ended_before: int
    now: int
    record: DeletionRecord


class EndedRun(NamedTuple):
    """The fields of a run that decide on its retention.

    Its age counts from ``ended_at``, which a run that never ended has too; see ``unended_runs``.
    """

    id: str
    agent_id: str
    environment_id: str
    purpose: str
    ended_at: int
    spans: int
    is_held: bool


class Partition(NamedTuple):
    """A part of the stored spans, by the times in their ids: from ``low`` to before ``high``.

    From ``ends_at`` on, new spans go to its successor.
    """

    name: str
    low: str
    high: str
    ends_at: int
    is_short: bool
    """Whether it covers at most one day."""


class PartitionRun(NamedTuple):
    """A run, and the number of its spans in a partition."""

    account_id: str
    run: EndedRun
    spans: int
