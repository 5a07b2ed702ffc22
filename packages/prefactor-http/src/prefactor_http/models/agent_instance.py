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
    """Number of spans by state; `finished` is complete + failed + cancelled."""

    total: int = 0
    pending: int = 0
    active: int = 0
    complete: int = 0
    failed: int = 0
    cancelled: int = 0
    finished: int = 0


class SearchMatch(ReplyModel):
    """Where a run has the words of a search."""

    span_id: str
    snippet: str
    """The text around the first word, as it was recorded."""
    truncated: bool = False
    """Whether the span has more text than is searched."""


class AgentInstance(ReplyModel):
    """One run of an agent.

    `status` is an `AgentStatus` or `terminated`. In a reply, a state that this version does not
    know is passed on as it is.
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
    """Why the server ended it by itself; such an end is provisional."""
    abandoned: bool | None = None
    """Whether it is active and its agent fell silent; None from a server that does not tell."""
    purpose: str | None = None
    external_identifier: str | None = None
    quality_payload: dict[str, Any] | None = None
    quality_summary: str | None = None
    quality_payloads: dict[str, Any] | None = None
    quality_summaries: dict[str, Any] | None = None
    """Texts by name; a judgement without a summary is not in it."""
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
    """Where the words of a search were found; on lists that were asked for a text."""
    first_summary: str | None = None
    """What the first span says; on lists with `include_totals`, like the next three."""
    total_tokens: int | None = None
    """All tokens, as counted last."""
    total_cost: float | None = None
    """The cost in `currency`, as counted last; None without prices."""
    currency: str | None = None


class HeartbeatControl(ReplyModel):
    """The control signal of one run."""

    terminate: bool = False
    reason: str | None = None


class Heartbeat(ReplyModel):
    """What the server says of runs that go on."""

    type: Literal["heartbeat"]
    controls: dict[str, HeartbeatControl]
    """Of terminated runs, by run."""
    unknown_ids: list[str]
    """Runs that are not registered yet, or that the token cannot see."""


class SkippedRun(ReplyModel):
    """A run that was not terminated."""

    id: str
    why: str
    """`not_found`, `not_active`, or `no_match` if the filters do not find it."""


class RunTerminations(ReplyModel):
    """What was terminated or, in a dry run, what would be."""

    type: Literal["agent_instance_terminations"]
    dry_run: bool
    matching: int
    """How many active runs the filters find, before any is terminated."""
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

    `span_type_schemas` wins over the older maps `span_schemas` and `span_result_schemas`.
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
    """Body of a change of metadata; a null removes the key."""

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
    """Body of a quality record; a null payload removes the record of that name."""

    name: str = Field(min_length=1)
    payload: dict[str, Any] | None = None
    idempotency_key: str | None = None


class TerminateInstanceRequest(RequestModel):
    """Body of a termination."""

    reason: str = Field(pattern=r"\S")
