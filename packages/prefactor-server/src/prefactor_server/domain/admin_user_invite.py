"""An invitation to become an admin user, and the moves its status can make.

    create            → pending
    pending   use     → used
    pending   revoke  → revoked

The server keeps the hash of an invitation's token; its text is shown to whoever invites, once.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.errors import InvalidAction

InviteStatus: TypeAlias = Literal["pending", "used", "revoked"]

_RANDOM_BYTES: Final = 24


class AdminUserInvite(NamedTuple):
    """One invitation, without its token."""

    id: str
    account_id: str
    email: str
    token_hash: bytes
    inserted_at: int
    status: InviteStatus
    updated_at: int

    def handles(self) -> tuple[tuple[str, ...], ...]:
        """By its id."""
        return ((self.id,),)

    def revoke(self, now: int) -> AdminUserInvite:
        """The invitation, withdrawn.

        Raises:
            InvalidAction: it is not pending.
        """
        if self.status != "pending":
            raise InvalidAction(f"Invite is already {self.status}")
        return self._replace(status="revoked", updated_at=now)


def make_invite_token(random_bytes: Callable[[int], bytes]) -> str:
    """A fresh token, of 192 random bits, that can stand in an address as it is."""
    return "pf_invite_" + base64.urlsafe_b64encode(random_bytes(_RANDOM_BYTES)).decode()
