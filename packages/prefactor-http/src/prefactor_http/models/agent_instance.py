"""Agent instances: one run of an agent, from registration to its end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from prefactor_http.models.agent_schema_version import (
    QualitySchemaForCreate,
    SpanTypeSchemaForCreate,
)
from prefactor_http.models.agent_version import RuntimeEnvironment
from prefactor_http.models.alert import AlertSchemaForCreate
from prefactor_http.models.base import OpenWord, ReplyModel, RequestModel
from prefactor_http.models.types import FinishStatus, InstancePurpose, InstanceStatus

__all__ = [
    "AgentInstance",
    "AgentInstanceRecordQuality",
    "AgentInstanceSpanCounts",
    "AgentSchemaVersionForRegister",
    "AgentVersionForRegister",
    "FinishInstanceRequest",
    "Heartbeat",
    "HeartbeatControl",
    "RegisterAgentInstanceRequest",
    "RunTerminations",
    "SearchMatch",
    "SetMetadataRequest",
    "SkippedRun",
    "SpanTypeSchemaForCreate",
    "TimestampRequest",
]


class AgentInstanceSpanCounts(ReplyModel):
    """The number of spans by status; `finished` is complete + failed + cancelled."""

    total: int = 0
    pending: int = 0
    active: int = 0
    complete: int = 0
    failed: int = 0
    cancelled: int = 0
    finished: int = 0


class SearchMatch(ReplyModel):
    """The place of a search's words in a run."""

    span_id: str
    snippet: str
    """The text around the first word, as recorded."""
    truncated: bool = False
    """Whether the span has more text than is indexed."""


class AgentInstance(ReplyModel):
    """One run of an agent.

    `status` is an `AgentStatus` or `terminated`. In a response, a status unknown to this version is
    kept.
    """

    type: Literal["agent_instance"]
    id: str
    account_id: str
    agent_id: str
    agent_version_id: str
    environment_id: str
    status: Annotated[str, OpenWord(InstanceStatus)]
    inserted_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    span_counts: AgentInstanceSpanCounts | None = None
    agent_schema_version_id: str | None = None
    agent_deployment_id: str | None = None
    termination_reason: str | None = None
    ended_by: str | None = None
    """Why the server ended it; such an end is provisional."""
    abandoned: bool | None = None
    """Whether it is active and its agent fell silent; None if the server does not say."""
    purpose: str | None = None
    external_identifier: str | None = None
    quality_payload: dict[str, Any] | None = None
    quality_summary: str | None = None
    quality_payloads: dict[str, Any] | None = None
    quality_summaries: dict[str, Any] | None = None
    """Summaries by name, without evaluations that have none."""
    quality_payload_validations: dict[str, Any] | None = None
    cost_breakdown: dict[str, Any] | None = None
    span_schema_counts: dict[str, Any] | None = None
    last_activity_span_at: datetime | None = None
    """When its last span started or finished."""
    raised_alert_count: int | None = None
    risk_score: float | None = None
    metadata: dict[str, Any] | None = None
    """Texts by key, such as the user, conversation, release or experiment of the run."""
    match: SearchMatch | None = None
    """Where the words of a search were found; only in text searches."""
    first_summary: str | None = None
    """The summary of the first span; with `include_totals` only, like the next three."""
    total_tokens: int | None = None
    """All tokens, as last counted."""
    total_cost: float | None = None
    """The cost in `currency`, as last computed; None without prices."""
    currency: str | None = None


class HeartbeatControl(ReplyModel):
    """The control signal of one run."""

    terminate: bool = False
    reason: str | None = None


class Heartbeat(ReplyModel):
    """The answer to heartbeats of runs."""

    type: Literal["heartbeat"]
    controls: dict[str, HeartbeatControl]
    """The signals of terminated runs, by run."""
    unknown_ids: list[str]
    """Runs that are not registered, or that the token cannot see."""


class SkippedRun(ReplyModel):
    """A run that was not terminated."""

    id: str
    why: str
    """`not_found`, `not_active`, or `no_match` if the filters do not match it."""


class RunTerminations(ReplyModel):
    """The runs that were terminated or, in a dry run, would be."""

    type: Literal["agent_instance_terminations"]
    dry_run: bool
    matching: int
    """The number of active runs that match, before any was terminated."""
    matching_is_exact: bool = True
    ids: list[str]
    """The first of them, in a dry run."""
    terminated: list[str]
    skipped: list[SkippedRun]


class AgentVersionForRegister(RequestModel):
    """The version of the agent that runs."""

    name: str | None = None
    external_identifier: str | None = None
    description: str | None = None
    runtime_environment: RuntimeEnvironment | None = None


class AgentSchemaVersionForRegister(RequestModel):
    """The kinds of spans, quality records and alerts that the run will send.

    `span_type_schemas` takes precedence over the older maps `span_schemas` and
    `span_result_schemas`.
    """

    external_identifier: str | None = None
    span_schemas: dict[str, dict[str, Any]] | None = None
    span_result_schemas: dict[str, dict[str, Any]] | None = None
    span_type_schemas: list[SpanTypeSchemaForCreate] | None = None
    quality_schemas: list[QualitySchemaForCreate] | None = None
    alert_schemas: list[AlertSchemaForCreate] | None = None


class RegisterAgentInstanceRequest(RequestModel):
    """Body of a registration."""

    agent_id: str | None = None
    agent_version: dict[str, Any] | None = None
    agent_schema_version: dict[str, Any] | None = None
    id: str | None = None
    idempotency_key: str | None = None
    update_current_version: bool = Field(default=True, strict=True)
    environment_id: str | None = None
    purpose: InstancePurpose | None = None
    external_identifier: str | None = None
    metadata: dict[str, str] | None = None


class SetMetadataRequest(RequestModel):
    """Body of a change of metadata; null removes the key."""

    metadata: dict[str, str | None]
    idempotency_key: str | None = None


class TimestampRequest(RequestModel):
    """Body of a start; a null timestamp means now."""

    timestamp: str | None = None
    idempotency_key: str | None = None


class FinishInstanceRequest(RequestModel):
    """Body of a finish; without a status the run is complete, without a timestamp it ends now."""

    status: FinishStatus | None = None
    timestamp: str | None = None
    idempotency_key: str | None = None


class AgentInstanceRecordQuality(RequestModel):
    """Body of an evaluation; a null payload removes the one of that name."""

    name: str = Field(min_length=1)
    payload: dict[str, Any] | None = None
    idempotency_key: str | None = None


class TerminateInstanceRequest(RequestModel):
    """Body of a termination."""

    reason: str = Field(pattern=r"\S")
