"""An admin user: a person who belongs to an account."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.domain.people.role import Role


class AdminUser(NamedTuple):
    """One person, with an e-mail address that is unique in the account.

    ``password_hash`` is None for people without a password. The issuer and the subject are from
    OpenID Connect, and None for people who have never signed in with it.
    """

    id: str
    account_id: str
    email: str
    inserted_at: int
    updated_at: int
    role: Role
    password_hash: str | None = None
    last_signed_in_at: int | None = None
    openid_issuer: str | None = None
    openid_subject: str | None = None

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)
