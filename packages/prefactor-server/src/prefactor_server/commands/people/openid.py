"""The write of a sign-in with OpenID Connect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from prefactor_server.commands.base import Decision, Request, audit_entry
from prefactor_server.commands.people.session import start_session
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.domain.people.openid import Identity, OpenIdRefused, RoleRule, admit
from prefactor_server.domain.people.session import Session
from prefactor_server.storage.base import Changes, Needs, Snapshot


class SignInWithOpenId(NamedTuple):
    """Start a session for a person whom a provider has identified.

    ``found`` is the id of an existing person, and ``new`` the person to store otherwise.
    ``connecting`` is the id of the session in which the existing person connects the provider. It
    must not have ended since.
    """

    request: Request
    session: Session
    identity: Identity
    rules: Sequence[RoleRule]
    new: AdminUser
    found: str | None
    invite: str | None
    connecting: str | None
    operation: str = "sessions.create"

    def needs(self, needs: Needs) -> None:
        """Add the person, their sessions and their invitation."""
        if self.found is not None:
            needs.rows.add((AdminUser, self.found))
            needs.sessions_of.add(self.found)
        if self.connecting is not None:
            needs.rows.add((Session, self.connecting))
        if self.invite is not None:
            needs.rows.add((AdminUserInvite, self.invite))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Admit the person, and store them, their role and the session."""
        found = None if self.found is None else snapshot.get(AdminUser, self.found)
        if self.found is not None and found is None:
            raise OpenIdRefused("expired")
        if self.connecting is not None and snapshot.get(Session, self.connecting) is None:
            raise OpenIdRefused("expired")
        person, used = admit(
            self.identity,
            found,
            new=self.new,
            invite=None if self.invite is None else snapshot.get(AdminUserInvite, self.invite),
            rules=self.rules,
            is_connecting=self.connecting is not None,
        )
        changes = Changes(
            inserted=(person,) if found is None else (),
            updated=tuple(row for row in (used, None if found is None else person) if row),
            audit=tuple(self._entries(found, person, used)),
        )
        return start_session(snapshot, self.request, self.session, changes)

    def _entries(
        self, found: AdminUser | None, person: AdminUser, used: AdminUserInvite | None
    ) -> list[AuditEntry]:
        entries: list[AuditEntry] = []
        if used is not None:
            entries.append(
                audit_entry(self.request, "admin_user_invites.accept", used.id, used.email)
            )
        if found is None:
            detail = f"{person.email}: {person.role}"
            entries.append(audit_entry(self.request, "admin_users.create", person.id, detail))
            return entries
        if found.role != person.role:
            detail = f"{person.email}: {found.role} -> {person.role}"
            entries.append(audit_entry(self.request, "admin_users.update", person.id, detail))
        if found.openid_subject is None:
            detail = f"{person.email}: {person.openid_issuer}"
            entries.append(audit_entry(self.request, "admin_users.connect", person.id, detail))
        return entries
