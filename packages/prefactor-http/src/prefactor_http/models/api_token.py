"""API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from prefactor_http.models.base import ReplyModel


class ApiTokenAvailableActions(ReplyModel):
    """The actions that are possible now."""

    activate: bool = False
    suspend: bool = False
    revoke: bool = False
    delete: bool = False


class ApiToken(ReplyModel):
    """A token's record; `status` is active, suspended or revoked."""

    type: Literal["api_token"] = "api_token"
    id: str
    account_id: str | None = None
    agent_id: str | None = None
    environment_id: str | None = None
    agent_deployment_id: str | None = None
    created_by_admin_user_id: str | None = None
    token_scope: str | None = None
    status: str | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    available_actions: ApiTokenAvailableActions | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None


class CreatedApiToken(ApiToken):
    """A new token's record with its text, which the server shows only once."""

    token: str | None = Field(default=None, repr=False)
    """The token in plain text; hidden in `repr()`."""
