"""The interface of database maintenance: verify, prune, hold runs, delete expired rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple, Protocol

from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.domain.runs.retention import (
    Deletion,
    DeletionRecord,
    EndedRun,
    Partition,
    PartitionRun,
    Pruned,
    Retention,
)
from prefactor_server.storage.verify import Finding

RUN_SLICE: Final = 100
SPAN_SLICE: Final = 2000
"""About how many spans one transaction deletes, so that a request behind it waits milliseconds.

A run is deleted as a whole. A longer one has its own transaction, and its spans may be deleted
later.
"""
PARTITION_RUNS: Final = 100_000
"""The most runs that are deleted together with a partition, in one transaction."""
SIGN_IN_SLICE: Final = 1000
AUDIT_SLICE: Final = 1000
EXAMINED_SLICE: Final = 1000
FIRST_ENDED: Final[tuple[int, str]] = (-(2**62), "")
"""Comes before every run by end and id."""


class DatabaseStatus(NamedTuple):
    """The kind, version and size of a database.

    ``schema_version`` is the number of its last migration. ``free_disk_bytes`` is None if the disk
    belongs to another machine.
    """

    kind: str
    version: str
    schema_version: int
    size_bytes: int
    free_disk_bytes: int | None


class Maintenance(Protocol):
    """The maintenance of one database, across all of its accounts.

    Raises from every method:
        Unavailable: the database is unreachable, or cannot do it now.
    """

    async def check_writable(self) -> None:
        """Return if the database accepts writes now. No stored data changes."""
        ...

    async def now_us(self) -> int:
        """Return the time of the database's clock, in microseconds since 1970."""
        ...

    async def status(self) -> DatabaseStatus:
        """Return the kind, version and size of the database."""
        ...

    def verify(self) -> AsyncIterator[Finding]:
        """Yield all inconsistencies in the stored data."""
        ...

    async def preview(self, retention: Retention) -> Pruned:
        """Return the size of what pruning would delete now."""
        ...

    async def held(self, retention: Retention) -> int:
        """Return how many runs are old enough, but have a legal hold."""
        ...

    async def prune(self, retention: Retention, now: int, actor: str) -> Pruned:
        """Delete a slice of old runs, oldest first, with an entry in the audit log.

        Returns the size of what was deleted, which is 0 at the end.
        """
        ...

    async def extend_partitions(self, now: int, days: int) -> Sequence[str]:
        """Create partitions of ``days`` days that are due; return their names.

        Only PostgreSQL has partitions. After ``Unavailable``, rows are still stored, in the
        partitions that exist.
        """
        ...

    async def partitions(self) -> Sequence[Partition]:
        """Return the partitions by time that have an end, oldest first."""
        ...

    async def runs_of_partition(self, partition: Partition) -> Sequence[PartitionRun] | None:
        """Return all runs with spans in a partition.

        Returns None if it cannot be deleted as a whole now: a run has not ended or is held, there
        are more than ``PARTITION_RUNS``, or reading it takes longer than a read may take.
        """
        ...

    async def empty_partition(
        self, partition: Partition, runs: Sequence[PartitionRun], deletions: Sequence[Deletion]
    ) -> Pruned | None:
        """Delete all runs of a partition like ``delete_runs``, and its spans as a whole.

        ``runs`` are those that ``runs_of_partition`` returned, and ``deletions`` name all of them.
        Returns the size of what was deleted. Returns None, and deletes nothing, if the partition
        has other runs by now, if one of them must stay, or if reads block it.
        """
        ...

    async def ended_runs(
        self, account_id: str, ended_before: int, after: tuple[int, str], limit: int
    ) -> Sequence[EndedRun]:
        """Return runs that ended before a time, longest ago first, after one by end and id."""
        ...

    async def unended_runs(
        self, account_id: str, ended_before: int, after: str, limit: int
    ) -> Sequence[EndedRun]:
        """Return runs after an id that never ended, and whose age counts from before a time.

        The age of an abandoned run counts from when it was marked, that of a pending run from its
        last change.
        """
        ...

    async def delete_runs(self, deletion: Deletion) -> Pruned:
        """Delete runs with everything that belongs to them, and record that, in one transaction.

        The follower then deletes the rows derived from them, except rollups. The spans of a long
        run may remain for a while, but are not shown; see ``delete_remaining_spans``.
        """
        ...

    async def delete_remaining_spans(self) -> int:
        """Delete a slice of the spans that remain of deleted runs; return how many."""
        ...

    async def delete_audit_entries(self, before: int, record: DeletionRecord) -> Pruned:
        """Delete a slice of an account's audit log from before a time, and record that in it."""
        ...

    async def forget_sign_ins(self, now: int, idle_us: int) -> int:
        """Delete a slice of the sessions and links that have expired; return how many."""
        ...

    async def silent_traces(self, before: int, limit: int) -> Sequence[OtlpTrace]:
        """Return traces without new spans since a time, longest idle first."""
        ...

    async def holds(self, account_id: str) -> Sequence[LegalHold]:
        """Return the holds of an account, oldest first."""
        ...

    async def add_hold(self, hold: LegalHold, audit: AuditEntry) -> bool:
        """Hold a run; return False if there is none. A second hold replaces the reason."""
        ...

    async def remove_hold(self, account_id: str, run_id: str, audit: AuditEntry) -> bool:
        """Remove a hold; return False if there was none."""
        ...


async def old_runs(
    maintenance: Maintenance, account_id: str, ended_before: int
) -> AsyncIterator[Sequence[EndedRun]]:
    """Yield slices of all runs of an account that a policy may delete."""
    position: tuple[int, str] = FIRST_ENDED
    while runs := await maintenance.ended_runs(account_id, ended_before, position, EXAMINED_SLICE):
        yield runs
        position = (runs[-1].ended_at, runs[-1].id)
    after = ""
    while runs := await maintenance.unended_runs(account_id, ended_before, after, EXAMINED_SLICE):
        yield runs
        after = runs[-1].id


def prune_record(retention: Retention, now: int, actor: str) -> DeletionRecord:
    """Return the audit log's record of a prune."""
    rule = f"ended before {retention.ended_before}, environment {retention.environment_id or 'any'}"
    resource = retention.agent_id or retention.account_id
    return DeletionRecord(retention.account_id, now, actor, "agent_instances.prune", resource, rule)


def first_slice(runs: Sequence[tuple[str, int]], spans: int) -> Sequence[str]:
    """Return the first of some runs, given with span counts, that one transaction deletes."""
    taken: list[str] = []
    total = 0
    for run_id, count in runs:
        total += count
        if taken and total > spans:
            break
        taken.append(run_id)
    return taken
