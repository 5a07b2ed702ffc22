"""Sign-in links, each for one use by a person or an API token within ten minutes."""

from __future__ import annotations

from typing import Final, NamedTuple

from prefactor_server.domain.times import MINUTE_US

LIFETIME_US: Final = 10 * MINUTE_US
"""How long a link works."""

PREFIX: Final = "pf_link_"


class SignInLink(NamedTuple):
    """One link, without its code. It belongs to a person or to a token, never to both."""

    id: str
    account_id: str
    admin_user_id: str | None
    api_token_id: str | None
    code_hash: bytes
    inserted_at: int
    used_at: int | None

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    def works(self, now: int) -> bool:
        """Return whether the link is still valid."""
        return self.used_at is None and now < self.inserted_at + LIFETIME_US


def person_link_url(base: str, code: str) -> str:
    """Return the address at which a person signs in, and may set a new password.

    Browsers do not send the part after # to servers.
    """
    return f"{base.rstrip('/')}/#/set-password?code={code}"


def token_link_url(base: str, code: str) -> str:
    """Return the address that signs in as a token at once."""
    return f"{base.rstrip('/')}/#/sign-in?code={code}"
