"""An account: the owner of everything else, and the boundary of its data."""

from __future__ import annotations

from typing import NamedTuple


class Account(NamedTuple):
    """One account. ``partition`` is the 30-bit number in all of its ids."""

    id: str
    name: str
    partition: int
    inserted_at: int
    updated_at: int

    @property
    def account_id(self) -> str:
        """Its own id. Every row has the id of its account under this name."""
        return self.id

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)
