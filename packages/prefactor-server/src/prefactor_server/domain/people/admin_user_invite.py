"""An invitation to become an admin user, and the moves its status can make.

    create            → pending
    pending   accept  → used          (within seven days)
    pending   revoke  → revoked

The server keeps the hash of an invitation's token; its text is shown to the inviter, once. The
token names its account and its invitation, because its bearer has no other token.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.errors import InvalidAction
from prefactor_server.domain.ids import is_client_id

InviteStatus: TypeAlias = Literal["pending", "used", "revoked"]

LIFETIME_US: Final = 7 * 24 * 3600 * 1_000_000
"""How long an invitation can be accepted."""

_RANDOM_BYTES: Final = 24
_PREFIX: Final = "pf_invite_"
# In no id, and in an address as it is.
_SEPARATOR: Final = "~"
_PART_COUNT: Final = 3


class AdminUserInvite(NamedTuple):
    """One invitation, without its token."""

    id: str
    account_id: str
    email: str
    token_hash: bytes
    inserted_at: int
    status: InviteStatus
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its id."""
        return ((self.id,),)

    @property
    def expires_at(self) -> int:
        """The moment from which on it cannot be accepted."""
        return self.inserted_at + LIFETIME_US

    def accept(self, now: int) -> AdminUserInvite:
        """The invitation, used.

        Raises:
            InvalidAction: it is not pending, or too old.
        """
        if self.status != "pending":
            raise InvalidAction(f"Invite is already {self.status}")
        if now >= self.expires_at:
            raise InvalidAction("Invite has expired: ask for another one")
        return self._replace(status="used", updated_at=now)

    def revoke(self, now: int) -> AdminUserInvite:
        """The invitation, withdrawn.

        Raises:
            InvalidAction: it is not pending.
        """
        if self.status != "pending":
            raise InvalidAction(f"Invite is already {self.status}")
        return self._replace(status="revoked", updated_at=now)


class InviteRef(NamedTuple):
    """The account and the invitation that a token claims to be of."""

    account_id: str
    invite_id: str


def make_invite_token(invite: InviteRef, random_bytes: Callable[[int], bytes]) -> str:
    """A fresh token, with 192 random bits, that can stand in an address as it is."""
    secret = base64.urlsafe_b64encode(random_bytes(_RANDOM_BYTES)).decode()
    return _PREFIX + _SEPARATOR.join([invite.account_id, invite.invite_id, secret])


def read_invite_token(token: str) -> InviteRef | None:
    """What a token claims to belong to, or None if it is not a token."""
    parts = token.removeprefix(_PREFIX).split(_SEPARATOR)
    if not token.startswith(_PREFIX) or len(parts) != _PART_COUNT:
        return None
    account_id, invite_id, _ = parts
    if not is_client_id(account_id) or not is_client_id(invite_id):
        return None
    return InviteRef(account_id, invite_id)
