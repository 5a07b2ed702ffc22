"""API tokens: what a caller shows, what the server keeps of it, and what it may do.

    create               → active
    active    suspend    → suspended
    suspended activate   → active
    active    revoke     → revoked           (never reversed)
    suspended revoke     → revoked
    revoked   delete     : it is gone

Every other move is refused. A token past its ``expires_at`` does not work, whatever its status.

A token reads ``pf_<kind>_<random>_<checksum>``: the prefix tells people and secret scanners what it
is, the checksum lets both refuse a mistyped one without asking a database. The server keeps only
its SHA-256 and the first characters, for display.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
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
        """Return keys by its id."""
        return ((self.id,),)

    def allows(self, action: TokenAction) -> bool:
        """Whether its status allows an action."""
        return self.status in _ALLOWED_IN[action]

    def check(self, action: TokenAction) -> None:
        """Refuse what its status does not allow.

        Raises:
            InvalidAction: it does not.
        """
        if not self.allows(action):
            needed = " or ".join(_ALLOWED_IN[action])
            raise InvalidAction(f"Token is {self.status}; to {action} it, it must be {needed}")

    def after(self, move: TokenMove, now: int) -> ApiToken:
        """The token after a move.

        Raises:
            InvalidAction: its status does not allow that.
        """
        self.check(move)
        return self._replace(status=_LEADS_TO[move], updated_at=now)


class Principal(NamedTuple):
    """Who is calling: what a working token or session stands for.

    ``role`` decides what a caller with the whole account in sight may do. It has no meaning for a
    deployment token, which may do what operations allow to any caller. ``token_id`` is that of the
    token or session, ``admin_user_id`` that of the person who signed in.
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
        """The id that the audit log names: the person's, or else the token's."""
        return self.admin_user_id or self.token_id

    @property
    def sees_sensitive(self) -> bool:
        """Whether values that were marked as sensitive are shown to the caller."""
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
    """A fresh token, of 192 random bits."""
    body = f"pf_{_KINDS[scope]}_{_base62(int.from_bytes(random_bytes(_RANDOM_BYTES), 'big'), 33)}"
    return f"{body}_{_checksum(body)}"


def looks_mistyped(token: str) -> bool:
    """Whether a token has the form of ours and a checksum that does not belong to it."""
    body, _, checksum = token.rpartition("_")
    return token.startswith(_PREFIXES) and checksum != _checksum(body)


def displayed_start(token: str) -> str:
    """What may be shown of a token: of one that somebody made up, nothing is safe to show."""
    ours = token.startswith(_PREFIXES) and not looks_mistyped(token)
    return token[:DISPLAY_LENGTH] if ours else ""


def hash_token(token: str) -> bytes:
    """What is stored in place of a token. A slow hash protects passwords, not 192 random bits."""
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
    """The row of a token with this text."""
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
    """The status that counts now: an expired token is not stored as such."""
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
