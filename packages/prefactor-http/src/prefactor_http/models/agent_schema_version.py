"""Agent schema versions: the kinds of spans and quality records that an agent sends."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from prefactor_http.models.base import ReplyModel, RequestModel
from prefactor_http.models.risk_profile import DataRisk


class SpanTypeSchemaForCreate(RequestModel):
    """One kind of span: its JSON Schemas and the Liquid template of its summary."""

    name: str
    params_schema: dict[str, Any]
    result_schema: dict[str, Any] | None = None
    title: str | None = None
    description: str | None = None
    template: str | None = None
    result_template: str | None = None
    """Replaces `template` once there is a result."""
    data_risk: DataRisk | None = None


class QualitySchemaForCreate(RequestModel):
    """One kind of quality record. The schema is `schema_` here and `schema` on the wire."""

    name: str
    schema_: dict[str, Any] = Field(alias="schema")
    title: str | None = None
    description: str | None = None
    template: str | None = None
    data_risk: DataRisk | None = None


class AgentSchemaVersion(ReplyModel):
    """One set of schemas of an agent. Lists contain `span_schemas_count` instead of the schemas."""

    type: Literal["agent_schema_version"] = "agent_schema_version"
    id: str
    agent_id: str | None = None
    account_id: str | None = None
    external_identifier: str | None = None
    external_identifier_repeats: int | None = None
    current_agent_deployment_refs: list[Any] | None = None
    span_type_schemas: dict[str, Any] | None = None
    quality_schemas: dict[str, Any] | list[Any] | None = None
    alert_schemas: dict[str, Any] | None = None
    span_schemas_count: int | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None
