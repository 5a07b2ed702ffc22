"""The audit log: what operators did, written in the same transaction."""

from __future__ import annotations

from typing import NamedTuple


class AuditEntry(NamedTuple):
    """One action of an operator. ``actor`` is a token's id, or ``cli``."""

    account_id: str
    at: int
    actor: str
    action: str
    resource_id: str
    detail: str | None


class AuditRecord(NamedTuple):
    """A stored entry. ``id`` distinguishes entries of the same time."""

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
