"""API tokens: their format, their stored form, and what they allow.

    create               → active
    active    suspend    → suspended
    suspended activate   → active
    active    revoke     → revoked           (never reversed)
    suspended revoke     → revoked
    revoked   delete     : removed

Any other transition is rejected. A token past its ``expires_at`` does not work in any status.

A token has the form ``pf_<kind>_<random>_<checksum>``. The prefix identifies it to people and
secret scanners, and the checksum reveals a mistyped one without a database. The server stores only
its SHA-256 and, for display, its first characters.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.errors import InvalidAction
from prefactor_server.domain.people.role import Role

TokenScope: TypeAlias = Literal["account", "agent_deployment"]
TokenStatus: TypeAlias = Literal["active", "suspended", "revoked"]
TokenMove: TypeAlias = Literal["suspend", "activate", "revoke"]
TokenAction: TypeAlias = TokenMove | Literal["delete"]

_ALLOWED_IN: Final[dict[TokenAction, tuple[TokenStatus, ...]]] = {
    "suspend": ("active",),
    "activate": ("suspended",),
    "revoke": ("active", "suspended"),
    "delete": ("revoked",),
}
_LEADS_TO: Final[dict[TokenMove, TokenStatus]] = {
    "suspend": "suspended",
    "activate": "active",
    "revoke": "revoked",
}

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_BYTES: Final = 24
_KINDS: Final[dict[TokenScope, str]] = {"account": "account", "agent_deployment": "deployment"}
_PREFIXES: Final = tuple(f"pf_{kind}_" for kind in _KINDS.values())
DISPLAY_LENGTH: Final = 16
MIN_LENGTH: Final = 16


class ApiToken(NamedTuple):
    """One token, without its secret. The agent and environment are set for deployment tokens."""

    id: str
    account_id: str
    token_scope: TokenScope
    agent_id: str | None
    environment_id: str | None
    agent_deployment_id: str | None
    token_hash: bytes
    token_start: str
    expires_at: int | None
    inserted_at: int
    status: TokenStatus
    last_used_at: int | None
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    def allows(self, action: TokenAction) -> bool:
        """Return whether its status allows an action."""
        return self.status in _ALLOWED_IN[action]

    def check(self, action: TokenAction) -> None:
        """Check that its status allows an action.

        Raises:
            InvalidAction: it does not.
        """
        if not self.allows(action):
            needed = " or ".join(_ALLOWED_IN[action])
            raise InvalidAction(f"Token is {self.status}; to {action} it, it must be {needed}")

    def after(self, move: TokenMove, now: int) -> ApiToken:
        """Return the token after an action.

        Raises:
            InvalidAction: its status does not allow it.
        """
        self.check(move)
        return self._replace(status=_LEADS_TO[move], updated_at=now)


# Not a named tuple: its fields are read many times for each span, and created once per token.
@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller: the holder of a valid token or session.

    ``role`` applies to callers who may see the whole account. A deployment token has no role: it
    may call the operations that are open to every caller. ``token_id`` is the id
    of the token or session, ``admin_user_id`` that of the person who signed in.
    """

    token_id: str
    account_id: str
    partition: int
    scope: TokenScope
    agent_id: str | None
    environment_id: str | None
    agent_deployment_id: str | None
    role: Role = "viewer"
    admin_user_id: str | None = None
    session_id: str | None = None

    @property
    def actor(self) -> str:
        """The id for the audit log: the person's, or else the token's."""
        return self.admin_user_id or self.token_id

    @property
    def sees_sensitive(self) -> bool:
        """Whether the caller may see sensitive values."""
        return self.scope == "account" and self.role != "viewer"

    def can_see(self, agent_id: str, environment_id: str) -> bool:
        """Return whether the caller may see rows of an agent in an environment.

        A deployment token sees only its own agent in its own environment. Everything else is
        reported as not found, so the token cannot be used to probe for other rows.
        """
        if self.scope == "account":
            return True
        return self.agent_id == agent_id and self.environment_id == environment_id


def make_token(scope: TokenScope, random_bytes: Callable[[int], bytes]) -> str:
    """Return a new token with 192 random bits."""
    body = f"pf_{_KINDS[scope]}_{_base62(int.from_bytes(random_bytes(_RANDOM_BYTES), 'big'), 33)}"
    return f"{body}_{_checksum(body)}"


def looks_mistyped(token: str) -> bool:
    """Return whether a text has the form of a token but a wrong checksum."""
    body, _, checksum = token.rpartition("_")
    return token.startswith(_PREFIXES) and checksum != _checksum(body)


def displayed_start(token: str) -> str:
    """Return the part of a token that may be shown, which is empty if an operator chose it."""
    is_generated = token.startswith(_PREFIXES) and not looks_mistyped(token)
    return token[:DISPLAY_LENGTH] if is_generated else ""


def hash_token(token: str) -> bytes:
    """Return the hash to store. Unlike a password, 192 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def new_token(
    text: str,
    token_id: str,
    account_id: str,
    now: int,
    *,
    scope: TokenScope = "account",
    agent_id: str | None = None,
    environment_id: str | None = None,
    agent_deployment_id: str | None = None,
    expires_at: int | None = None,
) -> ApiToken:
    """Return the row for a token with this text."""
    return ApiToken(
        id=token_id,
        account_id=account_id,
        token_scope=scope,
        agent_id=agent_id,
        environment_id=environment_id,
        agent_deployment_id=agent_deployment_id,
        token_hash=hash_token(text),
        token_start=displayed_start(text),
        expires_at=expires_at,
        inserted_at=now,
        status="active",
        last_used_at=None,
        updated_at=now,
    )


def token_status(token: ApiToken, now: int) -> TokenStatus | Literal["expired"]:
    """Return the current status. Expiry is computed, not stored."""
    if token.status == "active" and token.expires_at is not None and token.expires_at <= now:
        return "expired"
    return token.status


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), 6)


def _base62(number: int, width: int) -> str:
    digits: list[str] = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
