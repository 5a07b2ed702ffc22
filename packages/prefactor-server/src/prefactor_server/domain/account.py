"""An account: the owner of everything else, and the wall between its data and everybody else's."""

from __future__ import annotations

from typing import NamedTuple


class Account(NamedTuple):
    """One account. ``partition`` is the 30-bit number that all ids made for it carry."""

    id: str
    name: str
    partition: int
    inserted_at: int
    updated_at: int

    @property
    def account_id(self) -> str:
        """Its own id: like every other row it belongs to an account."""
        return self.id

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its id."""
        return ((self.id,),)
