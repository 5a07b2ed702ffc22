"""The writes of invitations."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.admin_user_invite import AdminUserInvite
from prefactor_server.domain.errors import NotFound
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
