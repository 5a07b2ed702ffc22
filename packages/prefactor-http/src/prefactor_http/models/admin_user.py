"""Admin users, the people of an account, and their invitations."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from prefactor_http.models.base import ReplyModel


class AdminUser(ReplyModel):
    """A person who belongs to an account. `role` is `viewer`, `member` or `admin`."""

    type: Literal["admin_user"] = "admin_user"
    id: str
    account_id: str | None = None
    email: str | None = None
    role: str | None = None
    has_password: bool | None = None
    has_openid: bool | None = None
    last_signed_in_at: datetime | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None


class AdminUserInvite(ReplyModel):
    """An invitation. `status` is `pending`, `used` or `revoked`."""

    type: Literal["admin_user_invite"] = "admin_user_invite"
    id: str
    account_id: str | None = None
    email: str | None = None
    role: str | None = None
    invite_url: str | None = Field(default=None, repr=False)
    """The page that accepts it, shown only once; hidden in `repr()` like the token in it."""
    token: str | None = Field(default=None, repr=False)
    status: str | None = None
    expires_at: datetime | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None


class Invitation(ReplyModel):
    """The part of an invitation that the invited person may see."""

    type: Literal["invitation"] = "invitation"
    email: str | None = None
    role: str | None = None
    account_id: str | None = None
    account_name: str | None = None
    status: str | None = None
    expires_at: datetime | None = None
