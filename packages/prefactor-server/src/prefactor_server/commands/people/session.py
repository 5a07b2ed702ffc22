"""The writes of sessions: sign in, record a use, end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.api_token import ApiToken, token_status
from prefactor_server.domain.errors import BadCredentials, NotFound
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.secret_text import is_secret_of
from prefactor_server.domain.people.session import MAX_PER_OWNER, Session
from prefactor_server.domain.people.sign_in_link import SignInLink
from prefactor_server.storage.base import Changes, Needs, Snapshot

_OPERATION = "sessions.create"


class SignInWithToken(NamedTuple):
    """Start a session for an API token."""

    request: Request
    session: Session
    operation: str = _OPERATION

    def needs(self, needs: Needs) -> None:
        """Add the token and its sessions."""
        needs.tokens.add(self.session.owner_id)
        needs.sessions_of.add(self.session.owner_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the session if the token still works."""
        token = snapshot.get(ApiToken, self.session.owner_id)
        if token is None or token_status(token, self.request.now) != "active":
            raise BadCredentials("The token does not work: sign in with another one")
        return start_session(snapshot, self.request, self.session, Changes())


class SignInWithPassword(NamedTuple):
    """Start a session for a person whose password matched ``password_hash``."""

    request: Request
    session: Session
    password_hash: str
    operation: str = _OPERATION

    def needs(self, needs: Needs) -> None:
        """Add the person and their sessions."""
        _need_person(needs, self.session.owner_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the session if the password is still the same."""
        person = snapshot.get(AdminUser, self.session.owner_id)
        if person is None or person.password_hash != self.password_hash:
            raise wrong_password()
        signed_in = person._replace(last_signed_in_at=self.request.now)
        return start_session(snapshot, self.request, self.session, Changes(updated=(signed_in,)))


class SignInWithLink(NamedTuple):
    """Start a session for the person of a sign-in link, which works once.

    ``new_password_hash`` replaces the person's password, and ends all other sessions.
    """

    request: Request
    session: Session
    link_id: str
    code_hash: bytes
    new_password_hash: str | None
    operation: str = _OPERATION

    def needs(self, needs: Needs) -> None:
        """Add the link, the person and their sessions."""
        needs.rows.add((SignInLink, self.link_id))
        _need_person(needs, self.session.owner_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Use the link, and store the session and the password."""
        found = snapshot.get(SignInLink, self.link_id)
        link = check_link(found, self.code_hash, self.request.now)
        person = snapshot.get(AdminUser, self.session.owner_id)
        if person is None or link.admin_user_id != person.id:
            raise invalid_link()
        now = self.request.now
        ended: tuple[Session, ...] = ()
        signed_in = person._replace(last_signed_in_at=now)
        if self.new_password_hash is not None:
            signed_in = signed_in._replace(password_hash=self.new_password_hash, updated_at=now)
            ended = sessions_of(snapshot, person.id)
        used = link._replace(used_at=now)
        changes = Changes(updated=(used, signed_in), deleted=ended)
        return start_session(snapshot, self.request, self.session, changes)


class SignInWithTokenLink(NamedTuple):
    """Start a session for the token of a sign-in link, which works once."""

    request: Request
    session: Session
    link_id: str
    code_hash: bytes
    operation: str = _OPERATION

    def needs(self, needs: Needs) -> None:
        """Add the link, the token and its sessions."""
        needs.rows.add((SignInLink, self.link_id))
        needs.tokens.add(self.session.owner_id)
        needs.sessions_of.add(self.session.owner_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Use the link, and store the session if the token still works."""
        found = snapshot.get(SignInLink, self.link_id)
        link = check_link(found, self.code_hash, self.request.now)
        token = snapshot.get(ApiToken, self.session.owner_id)
        if token is None or link.api_token_id != token.id:
            raise invalid_link()
        if token_status(token, self.request.now) != "active":
            raise invalid_link()
        changes = Changes(updated=(link._replace(used_at=self.request.now),))
        return start_session(snapshot, self.request, self.session, changes)


class EndSession(NamedTuple):
    """End a session of ``owner_id``, or of anyone if that is None."""

    request: Request
    id: str
    owner_id: str | None
    operation: str

    def needs(self, needs: Needs) -> None:
        """Add the session."""
        needs.rows.add((Session, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Delete the session."""
        session = snapshot.get(Session, self.id)
        if session is None or self.owner_id not in (None, session.owner_id):
            raise NotFound(f"Session {self.id!r} not found")
        entry = audit_entry(self.request, self.operation, session.id, session.owner_id)
        return Decision(Changes(deleted=(session,), audit=(entry,)), Done(session.id, session))


class TouchSession(NamedTuple):
    """Record that a session was used. No request waits for this."""

    request: Request
    id: str
    operation: str = "sessions.touch"

    def needs(self, needs: Needs) -> None:
        """Add the session."""
        needs.rows.add((Session, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Update the session's last use."""
        session = snapshot.get(Session, self.id)
        if session is None:
            raise NotFound(f"Session {self.id!r} not found")
        used = session._replace(last_used_at=max(session.last_used_at, self.request.now))
        return Decision(Changes(updated=(used,)), Done(used.id, used))


def sessions_of(snapshot: Snapshot, owner_id: str) -> tuple[Session, ...]:
    """Return the loaded sessions of a person or token."""
    return tuple(one for one in snapshot.rows(Session) if one.owner_id == owner_id)


def check_link(link: SignInLink | None, code_hash: bytes, now: int) -> SignInLink:
    """Return the link, unless its code is unknown, or it was used or has expired.

    Raises:
        BadCredentials: the same for all of these, because codes are secret.
    """
    if link is None or not is_secret_of(code_hash, link.code_hash) or not link.works(now):
        raise invalid_link()
    return link


def invalid_link() -> BadCredentials:
    """Return the error for every invalid code."""
    return BadCredentials("The link was used, has expired or is unknown: ask for a new one")


def wrong_password() -> BadCredentials:
    """Return the error for every wrong pair of e-mail and password."""
    return BadCredentials(
        "E-mail and password do not match. A lost password is reset with: "
        "prefactor-server admin link"
    )


def _need_person(needs: Needs, person_id: str) -> None:
    needs.rows.add((AdminUser, person_id))
    needs.sessions_of.add(person_id)


def start_session(
    snapshot: Snapshot, request: Request, session: Session, changes: Changes
) -> Decision:
    """Return ``changes`` with a new session; the owner's oldest beyond the limit are deleted."""
    entry = audit_entry(request, _OPERATION, session.id, session.method)
    ended = (*changes.deleted, *_in_excess(snapshot, session.owner_id, changes.deleted))
    started = replace(
        changes, inserted=(*changes.inserted, session), deleted=ended, audit=(*changes.audit, entry)
    )
    return Decision(started, Done(session.id, session))


def _in_excess(snapshot: Snapshot, owner_id: str, ended: Sequence[object]) -> Sequence[Session]:
    remaining = [one for one in sessions_of(snapshot, owner_id) if one not in ended]
    remaining.sort(key=lambda one: (one.last_used_at, one.id))
    return remaining[: max(0, len(remaining) + 1 - MAX_PER_OWNER)]
