"""Agent versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from prefactor_http.models.base import ReplyModel, RequestModel


class RuntimeEnvironment(RequestModel):
    """Where a version runs, as reported by its SDK."""

    agent_sdk: list[str] | None = None
    os: str | None = None
    prefactor_sdk: list[str] | None = None
    runtime: str | None = None


class AgentVersion(ReplyModel):
    """One version of an agent, bound to one schema version."""

    type: Literal["agent_version"] = "agent_version"
    id: str
    agent_id: str | None = None
    account_id: str | None = None
    agent_schema_version_id: str | None = None
    external_identifier: str | None = None
    external_identifier_repeats: int | None = None
    current_agent_deployment_refs: list[Any] | None = None
    runtime_environment: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None
