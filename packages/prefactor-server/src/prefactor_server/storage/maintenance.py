"""What an operator does to a whole database, beside the batches and the reads of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.domain.runs.retention import Pruned, Retention
from prefactor_server.storage.verify import Finding

RUN_SLICE: Final = 100
SPAN_SLICE: Final = 2000
"""How much one transaction deletes at the most: a request behind it waits for milliseconds."""
SIGN_IN_SLICE: Final = 1000


class Maintenance(Protocol):
    """The maintenance of one database, across all of its accounts.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot do it now.
    """

    async def check_writable(self) -> None:
        """Return when a write is taken now; nothing that is stored changes."""
        ...

    def verify(self) -> AsyncIterator[Finding]:
        """Everything stored that contradicts something else that is stored."""
        ...

    async def preview(self, retention: Retention) -> Pruned:
        """What pruning would delete as things are."""
        ...

    async def held(self, retention: Retention) -> int:
        """How many runs are old enough, and stay because of a legal hold."""
        ...

    async def prune(self, retention: Retention, now: int, actor: str) -> Pruned:
        """Delete a slice of old runs, the oldest first, with an entry in the audit log.

        Returns what was deleted; nothing when nothing is left. A run whose spans are more than a
        slice stays, without those that are gone, until the last of them is.
        """
        ...

    async def forget_sign_ins(self, now: int, idle_us: int) -> int:
        """Delete a slice of the sessions and links that have expired; return how many."""
        ...

    async def silent_traces(self, before: int, limit: int) -> Sequence[OtlpTrace]:
        """Return traces that nothing has come of since a time, the longest silent first."""
        ...

    async def holds(self, account_id: str) -> Sequence[LegalHold]:
        """The holds of an account, oldest first."""
        ...

    async def add_hold(self, hold: LegalHold, audit: AuditEntry) -> bool:
        """Keep a run; False when there is no such run. A second hold gives it a new reason."""
        ...

    async def remove_hold(self, account_id: str, run_id: str, audit: AuditEntry) -> bool:
        """Let a run go; False when nothing held it."""
        ...


def prune_audit_entry(retention: Retention, pruned: Pruned, now: int, actor: str) -> AuditEntry:
    """The entry of a slice that was deleted."""
    detail = (
        f"ended before {retention.ended_before}, environment {retention.environment_id or 'any'}: "
        f"{pruned.runs} runs, {pruned.spans} spans, {pruned.payload_bytes} bytes of payloads"
    )
    resource = retention.agent_id or retention.account_id
    return AuditEntry(retention.account_id, now, actor, "agent_instances.prune", resource, detail)
