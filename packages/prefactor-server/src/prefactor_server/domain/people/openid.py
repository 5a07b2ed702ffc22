"""Sign-in with OpenID Connect: which person an identity belongs to, and their role.

A person is known by the provider's issuer and subject, which never change. An e-mail finds a
person only once, to connect them:

* It must be verified, and the person must not have another subject, because providers reassign
  addresses.
* The person must have no password. Otherwise an account at the provider would be enough to take
  over theirs. People with a password sign in with it first, and then connect the provider.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.errors import BadCredentials
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.domain.people.role import RIGHTS, Role

OpenIdFailure: TypeAlias = Literal[
    "cancelled",
    "expired",
    "provider",
    "email_not_verified",
    "not_invited",
    "not_allowed",
    "has_password",
    "other_identity",
    "too_many",
    "unavailable",
]
"""Why a sign-in failed, as reported to the browser's page."""

_EXPLANATIONS: Final[dict[OpenIdFailure, str]] = {
    "cancelled": "The provider did not sign anyone in",
    "expired": "The attempt has expired, or was started in another browser: start again",
    "provider": "The provider cannot be reached, or its response is invalid",
    "email_not_verified": "The provider does not confirm that the e-mail is verified",
    "not_invited": "This e-mail has no invitation: ask an admin for one",
    "not_allowed": "No rule in openid_roles admits this person",
    "has_password": "A person with this e-mail has a password: sign in with it, then connect "
    "the provider",
    "other_identity": "The person is connected to a different account at a provider",
    "too_many": "Too many sign-in attempts: try again later",
    "unavailable": "The server cannot write now: try again later",
}
MAX_SUBJECT: Final = 255
"""The longest subject that OpenID Connect allows."""


class OpenIdRefused(BadCredentials):
    """Sign-in was refused. The page shows a text for ``reason``."""

    def __init__(self, reason: OpenIdFailure, detail: str = "") -> None:
        super().__init__(f"{_EXPLANATIONS[reason]}{f': {detail}' if detail else ''}")
        self.reason: OpenIdFailure = reason
        self.detail = detail


class Identity(NamedTuple):
    """The identity that a provider asserts. ``email`` is None unless it is verified."""

    issuer: str
    subject: str
    email: str | None
    groups: Collection[str] = ()


class RoleRule(NamedTuple):
    """One rule: a role for the people of a domain or group."""

    domain: str | None
    group: str | None
    role: Role

    def admits(self, identity: Identity) -> bool:
        """Return whether the rule applies to an identity."""
        if self.group is not None:
            return self.group in identity.groups
        return identity.email is not None and _domain(identity.email) == self.domain


def read_role_rules(text: str) -> Sequence[RoleRule]:
    """Parse rules such as ``@example.org=viewer, group:platform=admin``.

    Raises:
        ValueError: a rule is malformed. The message quotes it.
    """
    return [_read_rule(part.strip()) for part in text.split(",") if part.strip()]


def _read_rule(text: str) -> RoleRule:
    subject, _, name = (part.strip() for part in text.rpartition("="))
    group, domain = subject.removeprefix("group:"), subject.removeprefix("@")
    roles: dict[str, Role] = {one: one for one in RIGHTS}
    role = roles.get(name)
    if role is not None and subject.startswith("group:") and group:
        return RoleRule(None, group, role)
    if role is not None and subject.startswith("@") and domain and "@" not in domain:
        return RoleRule(domain.lower(), None, role)
    raise ValueError(
        f"{text!r} is not a rule: write @domain=role or group:name=role, where the role is one of "
        f"{', '.join(RIGHTS)}"
    )


def role_by_rules(rules: Sequence[RoleRule], identity: Identity) -> Role | None:
    """Return the highest role that the rules give an identity, or None."""
    granted = {rule.role for rule in rules if rule.admits(identity)}
    return next((role for role in reversed(tuple(RIGHTS)) if role in granted), None)


class Admission(NamedTuple):
    """The person to store on sign-in, and the invitation that is used by it."""

    person: AdminUser
    invite: AdminUserInvite | None


def admit(
    identity: Identity,
    found: AdminUser | None,
    *,
    new: AdminUser,
    invite: AdminUserInvite | None,
    rules: Sequence[RoleRule],
    is_connecting: bool,
) -> Admission:
    """Return the person who signs in.

    ``found`` is the person with the identity, else the one who is connecting, else the one with
    the e-mail. ``new`` is the person to create otherwise. Rules decide who may sign in, and their
    role. Without rules, people must exist or have a pending invitation.

    Raises:
        OpenIdRefused: they may not sign in.
    """
    now, role = new.inserted_at, role_by_rules(rules, identity)
    if rules and role is None:
        raise OpenIdRefused("not_allowed")
    if found is not None:
        _check_connected(identity, found, is_connecting=is_connecting)
        connected = found._replace(
            openid_issuer=identity.issuer,
            openid_subject=identity.subject,
            role=found.role if role is None else role,
        )
        if connected != found:
            connected = connected._replace(updated_at=now)
        return Admission(connected._replace(last_signed_in_at=now), None)
    if identity.email is None:
        raise OpenIdRefused("email_not_verified")
    pending = invite is not None and invite.status == "pending" and now < invite.expires_at
    if role is None:
        if invite is None or not pending:
            raise OpenIdRefused("not_invited")
        role = invite.role
    used = invite.accept(now) if invite is not None and pending else None
    return Admission(new._replace(role=role), used)


def _check_connected(identity: Identity, found: AdminUser, *, is_connecting: bool) -> None:
    known = (found.openid_issuer, found.openid_subject)
    if known == (identity.issuer, identity.subject):
        return
    if found.openid_subject is not None:
        raise OpenIdRefused("other_identity")
    if is_connecting:
        return
    if identity.email is None or identity.email.lower() != found.email.lower():
        raise OpenIdRefused("email_not_verified")
    if found.password_hash is not None:
        raise OpenIdRefused("has_password")


def _domain(email: str) -> str:
    return email.rpartition("@")[2].lower()
