"""Sessions and callers."""

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
    """The caller. `id`, `method` and `expires_at` are None for a bearer token."""

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
    """A person who has signed in, with the cookie of the new session."""

    cookie: str = Field(repr=False)
    """For `client.with_session`, as `name=value`; hidden in `repr()`."""


class OpenIdMethod(ReplyModel):
    """The OpenID Connect provider for signing in."""

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
    """The URL to send the person's browser to."""
    cookie: str = Field(repr=False)
    """A cookie that the browser must send with the callback, as `name=value`."""
