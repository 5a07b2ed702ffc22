"""The audit log: the actions of operators, stored in the transactions of these actions."""

from __future__ import annotations

from typing import NamedTuple


class AuditEntry(NamedTuple):
    """One action of an operator. ``actor`` is the id of a token or person, or ``cli``."""

    account_id: str
    at: int
    actor: str
    action: str
    resource_id: str
    detail: str | None


class AuditRecord(NamedTuple):
    """A stored entry. Entries of the same time differ in their ``id``."""

    id: str
    account_id: str
    at: int
    actor: str
    action: str
    resource_id: str
    detail: str | None

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)
