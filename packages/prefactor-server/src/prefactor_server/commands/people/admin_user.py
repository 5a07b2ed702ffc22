"""The writes of people: their role, their password, links for them, and their removal."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.commands.people.session import sessions_of, wrong_password
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.role import Role
from prefactor_server.domain.people.sign_in_link import SignInLink
from prefactor_server.storage.base import Changes, Needs, Row, Snapshot


class ChangeRole(NamedTuple):
    """Give a person another role."""

    request: Request
    id: str
    role: Role
    operation: str = "admin_users.update"

    def needs(self, needs: Needs) -> None:
        """Add the person."""
        needs.rows.add((AdminUser, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Change the role, unless it is the caller's own."""
        person = require_person(snapshot, self.id)
        _check_not_self(self.request, person, "change your own role")
        changed = person._replace(role=self.role, updated_at=self.request.now)
        detail = f"{person.email}: {person.role} -> {self.role}"
        entry = audit_entry(self.request, self.operation, person.id, detail)
        return Decision(Changes(updated=(changed,), audit=(entry,)), Done(changed.id, changed))


class RemoveAdminUser(NamedTuple):
    """Remove a person from the account."""

    request: Request
    id: str
    operation: str = "admin_users.delete"

    def needs(self, needs: Needs) -> None:
        """Add the person and their sessions."""
        needs.rows.add((AdminUser, self.id))
        needs.sessions_of.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Delete the person and their sessions, unless it is the caller."""
        person = require_person(snapshot, self.id)
        _check_not_self(self.request, person, "remove yourself")
        entry = audit_entry(self.request, self.operation, person.id, person.email)
        deleted: tuple[Row, ...] = (*sessions_of(snapshot, person.id), person)
        return Decision(Changes(deleted=deleted, audit=(entry,)), Done(person.id, person))


class ChangePassword(NamedTuple):
    """Replace the password that matched ``old_hash``, and end the person's other sessions."""

    request: Request
    id: str
    old_hash: str
    new_hash: str
    session_id: str
    operation: str = "sessions.change_password"

    def needs(self, needs: Needs) -> None:
        """Add the person and their sessions."""
        needs.rows.add((AdminUser, self.id))
        needs.sessions_of.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the new hash."""
        person = require_person(snapshot, self.id)
        if person.password_hash != self.old_hash:
            raise wrong_password()
        changed = person._replace(password_hash=self.new_hash, updated_at=self.request.now)
        others = [one for one in sessions_of(snapshot, person.id) if one.id != self.session_id]
        entry = audit_entry(self.request, self.operation, person.id)
        changes = Changes(updated=(changed,), deleted=others, audit=(entry,))
        return Decision(changes, Done(changed.id, changed))


class CreateSignInLink(NamedTuple):
    """Store a new link, whose code only the caller knows."""

    request: Request
    link: SignInLink
    operation: str = "sign_in_links.create"

    def needs(self, needs: Needs) -> None:
        """Add the person or the token."""
        if self.link.admin_user_id is not None:
            needs.rows.add((AdminUser, self.link.admin_user_id))
        if self.link.api_token_id is not None:
            needs.tokens.add(self.link.api_token_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the link, and record who created it for whom."""
        owner_id, name = self._owner(snapshot)
        entry = audit_entry(self.request, self.operation, owner_id, name)
        return Decision(
            Changes(inserted=(self.link,), audit=(entry,)), Done(self.link.id, self.link)
        )

    def _owner(self, snapshot: Snapshot) -> tuple[str, str]:
        if self.link.admin_user_id is not None:
            person = require_person(snapshot, self.link.admin_user_id)
            return person.id, person.email
        token = snapshot.get(ApiToken, self.link.api_token_id or "")
        if token is None:
            raise NotFound(f"Token {self.link.api_token_id!r} not found")
        return token.id, token.token_start


def require_person(snapshot: Snapshot, person_id: str) -> AdminUser:
    """Return the person with this id.

    Raises:
        NotFound: no such person.
    """
    found = snapshot.get(AdminUser, person_id)
    if found is None:
        raise NotFound(f"Admin user {person_id!r} not found")
    return found


def _check_not_self(request: Request, person: AdminUser, action: str) -> None:
    # At least one admin remains, who can undo the change.
    if request.actor == person.id:
        raise InvalidAction(f"You cannot {action}: another admin can, or an account token")
