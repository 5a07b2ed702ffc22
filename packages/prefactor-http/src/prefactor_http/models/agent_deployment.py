"""Agent deployments: one agent in one environment."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prefactor_http.models.base import ReplyModel


class AgentDeployment(ReplyModel):
    """An agent in an environment, with its current version there."""

    type: Literal["agent_deployment"] = "agent_deployment"
    id: str
    account_id: str | None = None
    agent_id: str | None = None
    environment_id: str | None = None
    current_version_id: str | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None
