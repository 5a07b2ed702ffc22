"""Accounts, which own everything else."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prefactor_http.models.base import ReplyModel


class Account(ReplyModel):
    """An account that the token can see."""

    type: Literal["account"] = "account"
    id: str
    name: str | None = None
    title: str | None = None
    status: str | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None
