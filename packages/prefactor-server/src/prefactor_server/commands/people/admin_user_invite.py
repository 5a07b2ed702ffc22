"""The writes of invitations."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.domain.people.secret_text import is_secret_of
from prefactor_server.storage.base import Changes, Needs, Snapshot


class CreateInvite(NamedTuple):
    """Store a new invitation, whose token only the caller knows."""

    request: Request
    invite: AdminUserInvite
    operation: str = "admin_user_invites.create"

    def needs(self, needs: Needs) -> None:
        """Add nothing, because the id and the token are new."""
        del needs

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the invitation, and record who created it."""
        del snapshot
        invite = self.invite
        entry = audit_entry(self.request, self.operation, invite.id, invite.email)
        return Decision(Changes(inserted=(invite,), audit=(entry,)), Done(invite.id, invite))


class RevokeInvite(NamedTuple):
    """Revoke an unused invitation."""

    request: Request
    id: str
    operation: str = "admin_user_invites.revoke"

    def needs(self, needs: Needs) -> None:
        """Add the invitation."""
        needs.rows.add((AdminUserInvite, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Revoke the invitation, and record who did it."""
        found = snapshot.get(AdminUserInvite, self.id)
        if found is None:
            raise NotFound(f"Invite {self.id!r} not found")
        invite = found.revoke(self.request.now)
        entry = audit_entry(self.request, self.operation, invite.id, invite.email)
        return Decision(Changes(updated=(invite,), audit=(entry,)), Done(invite.id, invite))


class AcceptInvite(NamedTuple):
    """Make the holder of an invitation's token an admin user.

    ``user_id`` is the admin user with the invited address, who keeps their role, or the id of a
    new one. A password is set only if the person has none.
    """

    request: Request
    id: str
    token_hash: bytes
    user_id: str
    password_hash: str | None
    operation: str = "admin_user_invites.accept"

    def needs(self, needs: Needs) -> None:
        """Add the invitation, and the admin user."""
        needs.rows.add((AdminUserInvite, self.id))
        needs.rows.add((AdminUser, self.user_id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Use the invitation, and store the person with their password."""
        found = check_invite(snapshot.get(AdminUserInvite, self.id), self.token_hash)
        existing, now = snapshot.get(AdminUser, self.user_id), self.request.now
        invite = found.accept(now)
        person = existing or AdminUser(
            self.user_id, found.account_id, found.email, now, now, found.role
        )
        if self.password_hash is not None:
            if person.password_hash is not None:
                raise InvalidAction(
                    "You have a password already: sign in with it, or ask an operator for "
                    "prefactor-server admin link"
                )
            person = person._replace(password_hash=self.password_hash, updated_at=now)
        changes = Changes(
            inserted=(person,) if existing is None else (),
            updated=(invite,) if existing in (None, person) else (invite, person),
            audit=(audit_entry(self.request, self.operation, invite.id, invite.email),),
        )
        return Decision(changes, Done(person.id, person))


def check_invite(found: AdminUserInvite | None, token_hash: bytes) -> AdminUserInvite:
    """Return the invitation that a token belongs to.

    Raises:
        NotFound: no such invitation, or its token is a different one.
    """
    if found is None or not is_secret_of(token_hash, found.token_hash):
        raise unknown_invite()
    return found


def unknown_invite() -> NotFound:
    """Return the error for every invalid invitation token."""
    return NotFound("Invitation not found: check that the link is complete, or ask for a new one")
