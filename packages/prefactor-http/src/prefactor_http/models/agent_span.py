"""Agent spans: the steps of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from prefactor_http.models.base import OpenWord, ReplyModel, RequestModel
from prefactor_http.models.types import AgentStatus, FinishStatus

_Flag = Annotated[bool, Field(strict=True)]


class CreateAgentSpanRequest(RequestModel):
    """The `details` of a request to create a span."""

    agent_instance_id: str
    schema_name: str
    status: AgentStatus
    payload: dict[str, Any] = Field(default_factory=dict)
    result_payload: dict[str, Any] | None = None
    id: str | None = None
    parent_span_id: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    sensitive_encoding: _Flag | None = None
    idempotency_key: str | None = None


class FinishSpanRequest(RequestModel):
    """Body of a finish; without a status the span is complete, without a timestamp it ends now."""

    status: FinishStatus | None = None
    result_payload: dict[str, Any] | None = None
    timestamp: str | None = None
    sensitive_encoding: _Flag | None = None
    idempotency_key: str | None = None


class AgentSpan(ReplyModel):
    """One step of a run.

    `status` is an `AgentStatus`. In a response, a status unknown to this version is kept.
    """

    type: Literal["agent_span"]
    id: str
    agent_instance_id: str
    schema_name: str
    status: Annotated[str, OpenWord(AgentStatus)]
    account_id: str | None = None
    agent_id: str | None = None
    environment_id: str | None = None
    parent_span_id: str | None = None
    schema_title: str | None = None
    schema_registered: bool | None = None
    """Whether the run declared the span's type."""
    payload: dict[str, Any] = Field(default_factory=dict)
    result_payload: dict[str, Any] | None = None
    summary: str | None = None
    started_at: datetime | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    purpose: str | None = None
    sensitive_encoding: bool | None = None
    sensitive_discarded: bool | None = None
    risk_level: str | None = None
    risk_score: float | None = None
    payload_byte_size_estimate: int | None = None
    closed_by_termination: bool | None = None
    """Whether it ended because its run was terminated."""
    finished_before_started: bool | None = None
    """Whether its times contradict each other."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    model: str | None = None
    """The language model, taken from the payload."""
    tool_name: str | None = None
    """The tool, taken from the payload."""
    payload_validation: dict[str, Any] | None = None
    result_payload_validation: dict[str, Any] | None = None
