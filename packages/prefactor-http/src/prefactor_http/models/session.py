"""Sessions: who has signed in, and who is calling."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from prefactor_http.models.base import ReplyModel


class Session(ReplyModel):
    """A session of a person, or of the token that it was exchanged for."""

    type: Literal["session"] = "session"
    id: str
    account_id: str | None = None
    method: str | None = None
    admin_user_id: str | None = None
    api_token_id: str | None = None
    user_agent: str | None = None
    address: str | None = None
    is_current: bool | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    inserted_at: datetime | None = None


class Caller(ReplyModel):
    """Who is calling. `id`, `method` and `expires_at` are None for a bearer token."""

    type: Literal["session"] = "session"
    id: str | None = None
    method: str | None = None
    account_id: str | None = None
    account_name: str | None = None
    admin_user_id: str | None = None
    email: str | None = None
    api_token_id: str | None = None
    token_scope: str | None = None
    agent_id: str | None = None
    environment_id: str | None = None
    role: str | None = None
    rights: tuple[str, ...] = ()
    expires_at: datetime | None = None


class SignedIn(Caller):
    """Who has signed in, with the cookie of the new session."""

    cookie: str = Field(repr=False)
    """For `client.with_session`, as `name=value`; kept out of `repr()`."""


class OpenIdMethod(ReplyModel):
    """The provider of OpenID Connect that people may sign in with."""

    name: str


class SignInMethods(ReplyModel):
    """The ways to sign in that a server offers."""

    type: Literal["sign_in_methods"] = "sign_in_methods"
    password: bool = False
    token: bool = False
    openid: OpenIdMethod | None = None


class OpenIdStart(ReplyModel):
    """An attempt to sign in with a provider."""

    type: Literal["openid_start"] = "openid_start"
    authorization_url: str
    """Where the browser of the person has to go."""
    cookie: str = Field(repr=False)
    """What the browser has to bring back with it, as `name=value`."""
