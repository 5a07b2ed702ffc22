"""Admin users: the people of an account."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

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
