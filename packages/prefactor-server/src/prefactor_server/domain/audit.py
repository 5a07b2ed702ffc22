"""The audit log: what operators did, written in the transaction of what they did."""

from __future__ import annotations

from typing import NamedTuple


class AuditEntry(NamedTuple):
    """One thing that an operator did. ``actor`` is a token's id, or ``cli``."""

    account_id: str
    at: int
    actor: str
    action: str
    resource_id: str
    detail: str | None


class AuditRecord(NamedTuple):
    """An entry as it is stored; ``id`` tells apart what happened at the same time."""

    id: str
    account_id: str
    at: int
    actor: str
    action: str
    resource_id: str
    detail: str | None

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return the key by its id."""
        return ((self.id,),)
