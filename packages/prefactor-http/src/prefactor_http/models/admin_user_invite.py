"""Invitations: of people who are to belong to an account."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from prefactor_http.models.base import ReplyModel


class AdminUserInvite(ReplyModel):
    """An invitation. `status` is `pending`, `used` or `revoked`."""

    type: Literal["admin_user_invite"] = "admin_user_invite"
    id: str
    account_id: str | None = None
    email: str | None = None
    role: str | None = None
    invite_url: str | None = Field(default=None, repr=False)
    """The page that accepts it, shown once; kept out of `repr()` like the token in it."""
    token: str | None = Field(default=None, repr=False)
    status: str | None = None
    expires_at: datetime | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None


class Invitation(ReplyModel):
    """What an invitation says to the person who was invited."""

    type: Literal["invitation"] = "invitation"
    email: str | None = None
    role: str | None = None
    account_id: str | None = None
    account_name: str | None = None
    status: str | None = None
    expires_at: datetime | None = None
