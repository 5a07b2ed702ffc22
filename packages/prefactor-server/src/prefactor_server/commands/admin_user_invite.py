"""The writes of invitations."""

from __future__ import annotations

import hmac
from typing import NamedTuple

from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.storage.base import Changes, Needs, Snapshot


class CreateInvite(NamedTuple):
    """Store an invitation that was just made; its token is known to the caller alone."""

    request: Request
    invite: AdminUserInvite

    @property
    def operation(self) -> str:
        """The name of the operation."""
        return "admin_user_invites.create"

    def needs(self, needs: Needs) -> None:
        """Nothing: its id and its token are new."""
        del needs

    def decide(self, snapshot: Snapshot) -> Decision:
        """The invitation, and who made it."""
        del snapshot
        invite = self.invite
        entry = audit_entry(self.request, self.operation, invite.id, invite.email)
        return Decision(Changes(inserted=(invite,), audit=(entry,)), Done(invite.id, invite))


class RevokeInvite(NamedTuple):
    """Withdraw an invitation that nobody has used."""

    request: Request
    id: str

    @property
    def operation(self) -> str:
        """The name of the operation."""
        return "admin_user_invites.revoke"

    def needs(self, needs: Needs) -> None:
        """The invitation."""
        needs.rows.add((AdminUserInvite, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """The invitation, revoked, and who did it."""
        found = snapshot.get(AdminUserInvite, self.id)
        if found is None:
            raise NotFound(f"Invite {self.id!r} not found")
        invite = found.revoke(self.request.now)
        entry = audit_entry(self.request, self.operation, invite.id, invite.email)
        return Decision(Changes(updated=(invite,), audit=(entry,)), Done(invite.id, invite))


class AcceptInvite(NamedTuple):
    """Make an admin user of the person who shows the token of an invitation.

    ``user_id`` is that of the admin user with the invited address, or else one that a new admin
    user gets. Accepting once more is answered like the first time: an answer may have been lost.
    """

    request: Request
    id: str
    token_hash: bytes
    user_id: str

    @property
    def operation(self) -> str:
        """The name of the operation."""
        return "admin_user_invites.accept"

    def needs(self, needs: Needs) -> None:
        """The invitation, and the admin user that it may have made."""
        needs.rows.add((AdminUserInvite, self.id))
        needs.rows.add((AdminUser, self.user_id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """The invitation, used, and a new admin user if the address has none."""
        found = snapshot.get(AdminUserInvite, self.id)
        if found is None or not hmac.compare_digest(found.token_hash, self.token_hash):
            raise unknown_invite()
        user, now = snapshot.get(AdminUser, self.user_id), self.request.now
        if found.status == "used" and user is not None:
            return Decision(Changes(), Done(user.id, user))
        invite = found.accept(now)
        made = user or AdminUser(self.user_id, found.account_id, found.email, now, now)
        changes = Changes(
            inserted=(made,) if user is None else (),
            updated=(invite,),
            audit=(audit_entry(self.request, self.operation, invite.id, invite.email),),
        )
        return Decision(changes, Done(made.id, made))


def unknown_invite() -> NotFound:
    """The answer to every token that is no invitation's, whatever it resembles."""
    return NotFound("There is no such invitation")
