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

    def handles(self) -> tuple[tuple[str, ...], ...]:
        """By its id."""
        return ((self.id,),)
