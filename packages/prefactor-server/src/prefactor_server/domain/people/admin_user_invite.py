"""An invitation to become an admin user, and the transitions of its status.

    create            → pending
    pending   accept  → used          (within seven days)
    pending   revoke  → revoked

The server stores only the hash of an invitation's token; the inviter sees its text once. The token
contains the ids of its account and invitation, because its holder has no other token.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.errors import InvalidAction
from prefactor_server.domain.people.role import Role
from prefactor_server.domain.times import DAY_US

InviteStatus: TypeAlias = Literal["pending", "used", "revoked"]

LIFETIME_US: Final = 7 * DAY_US
"""How long an invitation can be accepted."""

PREFIX: Final = "pf_invite_"

MAX_EMAIL: Final = 254
EMAIL_PATTERN: Final = r"^[^@\s\u0000]+@[^@\s\u0000]+$"


class AdminUserInvite(NamedTuple):
    """One invitation, without its token."""

    id: str
    account_id: str
    email: str
    token_hash: bytes
    inserted_at: int
    status: InviteStatus
    updated_at: int
    role: Role

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    @property
    def expires_at(self) -> int:
        """The time from which it can no longer be accepted."""
        return self.inserted_at + LIFETIME_US

    def accept(self, now: int) -> AdminUserInvite:
        """Return the used invitation.

        Raises:
            InvalidAction: it is not pending, or has expired.
        """
        if self.status == "used":
            raise InvalidAction("Invite is already used: sign in, or ask for a link")
        if self.status == "revoked":
            raise InvalidAction("Invite was revoked: ask for another one")
        if now >= self.expires_at:
            raise InvalidAction("Invite has expired: ask for another one")
        return self._replace(status="used", updated_at=now)

    def revoke(self, now: int) -> AdminUserInvite:
        """Return the revoked invitation.

        Raises:
            InvalidAction: it is not pending.
        """
        if self.status != "pending":
            raise InvalidAction(f"Invite is already {self.status}")
        return self._replace(status="revoked", updated_at=now)


def is_email(text: str) -> bool:
    """Return whether a text can be an e-mail address."""
    return len(text) <= MAX_EMAIL and re.fullmatch(EMAIL_PATTERN, text) is not None


def invite_url(base: str, token: str) -> str:
    """Return the URL of an invitation. Browsers do not send the part after # to servers."""
    return f"{base.rstrip('/')}/#/invite?token={token}"
