"""Environments: where agents run, such as production."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prefactor_http.models.base import ReplyModel


class Environment(ReplyModel):
    """A place where agents run."""

    type: Literal["environment"] = "environment"
    id: str
    account_id: str | None = None
    name: str | None = None
    purpose: str | None = None
    description: str | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None
