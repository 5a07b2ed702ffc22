"""Links to sign in: one use, ten minutes, for one person."""

from __future__ import annotations

from typing import Final, NamedTuple

LIFETIME_US: Final = 10 * 60 * 1_000_000
"""How long a link works."""

PREFIX: Final = "pf_link_"


class SignInLink(NamedTuple):
    """One link, without its code."""

    id: str
    account_id: str
    admin_user_id: str
    code_hash: bytes
    inserted_at: int
    used_at: int | None

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its id."""
        return ((self.id,),)

    def works(self, now: int) -> bool:
        """Return whether it can be used."""
        return self.used_at is None and now < self.inserted_at + LIFETIME_US


def sign_in_url(base: str, code: str) -> str:
    """Return the address of a link. What follows # is sent to no server and stands in no log."""
    return f"{base.rstrip('/')}/#/set-password?code={code}"
