"""Sessions of the pages, identified by a cookie.

A session belongs to a person, or to the API token that was exchanged for it or whose link was used.
It ends when it is idle for too long or too old, when it is revoked, when its person is removed or
gets a new password, and when its token is revoked or deleted.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

SignInMethod: TypeAlias = Literal["token", "link", "password", "openid"]

PREFIX: Final = "pf_session_"
UNKNOWN_SESSION: Final = "The session is unknown or was ended: sign in again"
MAX_PER_OWNER: Final = 100
"""The most sessions of one person or token. A new one ends the least recently used."""
MAX_DESCRIPTION: Final = 200
"""The most characters that are stored of a browser's User-Agent."""


class Session(NamedTuple):
    """One session. ``owner_id`` is a person's id, or with the method ``token`` a token's."""

    id: str
    account_id: str
    token_hash: bytes
    method: SignInMethod
    owner_id: str
    user_agent: str
    address: str
    inserted_at: int
    expires_at: int
    last_used_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    @property
    def admin_user_id(self) -> str | None:
        """The person that the session belongs to, or None."""
        return None if self.method == "token" else self.owner_id

    @property
    def api_token_id(self) -> str | None:
        """The token that the session belongs to, or None."""
        return self.owner_id if self.method == "token" else None

    def ends_at(self, idle_us: int) -> int:
        """Return when the session ends if it is not used again."""
        return min(self.expires_at, self.last_used_at + idle_us)
