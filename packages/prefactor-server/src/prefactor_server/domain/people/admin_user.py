"""An admin user: a person who belongs to an account."""

from __future__ import annotations

from typing import NamedTuple


class AdminUser(NamedTuple):
    """One person, known by an address that is unique in the account."""

    id: str
    account_id: str
    email: str
    inserted_at: int
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its id."""
        return ((self.id,),)
