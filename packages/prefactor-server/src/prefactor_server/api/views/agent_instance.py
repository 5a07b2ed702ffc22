"""The views of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from prefactor_server.api.kernel.sensitive import visible_value
from prefactor_server.api.views.agent_span import Validation, validation_view
from prefactor_server.api.views.base import ControlView, Success, show_optional_time, show_time
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.risk.risk_score import RiskLevel
from prefactor_server.domain.runs.agent_instance import (
    AgentInstance,
    EndedBy,
    InstanceStatus,
    Purpose,
)
from prefactor_server.domain.runs.quality import DEFAULT_QUALITY, QualityEntry


class Annotations(NamedTuple):
    """The quality and metadata of a run.

    ``quality`` may be only the entry that an item recorded.
    """

    quality: Entries | None
    metadata: Mapping[str, str] | msgspec.UnsetType


Entries: TypeAlias = Mapping[str, QualityEntry]
"""The quality entries of a run, by name."""


class SpanCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The number of a run's spans by status; ``finished`` counts all that have ended."""

    total: int
    pending: int
    active: int
    complete: int
    failed: int
    cancelled: int
    finished: int


class SpanTypeRisk(msgspec.Struct, frozen=True, kw_only=True):
    """The contribution of one span type to a run's score.

    ``span_score`` is the sum of the weights times the multiplier, which is the largest of the
    action multipliers. ``score`` is the sum for all spans of the type.
    """

    schema_name: str
    spans: int
    category_weights: Mapping[str, float]
    action_multipliers: Mapping[str, float]
    multiplier: float
    span_score: float
    score: float


class RiskBreakdown(msgspec.Struct, frozen=True, kw_only=True):
    """The composition of a run's score."""

    risk_profile_id: str
    risk_profile_name: str
    formula_version: int
    score: float
    level: RiskLevel
    thresholds: Mapping[str, float]
    agreed_risk: RiskLevel | None
    exceeds_agreed_risk: bool
    span_types: list[SpanTypeRisk]


class ModelCostView(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of one model, null if the price table has no price for it."""

    model: str | None
    spans: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    input_cost: float | None
    output_cost: float | None


class CostGroupView(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of one model, with the field names of newer clients."""

    model: str | None
    spans: int
    input_tokens: int
    output_tokens: int
    input_cost: float | None
    output_cost: float | None
    total_cost: float | None


class CostBreakdown(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a run's prompt and completion tokens at the operator's prices.

    ``unpriced_spans`` counts spans with tokens but no price. The sums exclude them, and are null if
    no span has a price. ``groups`` has the same rows as ``by_model``.
    """

    total_cost: float | None
    input_cost: float | None
    output_cost: float | None
    currency: str | None
    by_model: list[ModelCostView]
    groups: list[CostGroupView]
    unpriced_spans: int


class MatchView(msgspec.Struct, frozen=True):
    """The span of a run that contains the words of a search, and the text around the first word.

    ``truncated`` means that the span has more text than the indexed 64 KiB.
    """

    span_id: str
    snippet: str
    truncated: bool


class AgentInstanceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a list. Risk is null if its agent has no profile, and in answers to writes.

    ``abandoned`` means that the run is active and its agent fell silent.
    ``metadata`` is omitted in bulk items. ``match`` is present in text searches, and null if the
    span has changed since it was indexed. ``first_summary``, ``total_tokens``, ``total_cost`` and
    ``currency`` are present in lists with ``include_totals``. The last three are null until the
    run has been counted, and cost and currency also without prices.
    """

    type: Literal["agent_instance"] = "agent_instance"
    id: str
    account_id: str
    agent_id: str
    agent_version_id: str
    agent_schema_version_id: str
    agent_deployment_id: str
    environment_id: str
    external_identifier: str | None
    purpose: Purpose
    status: InstanceStatus
    termination_reason: str | None
    ended_by: EndedBy | None
    abandoned: bool
    started_at: str | None
    finished_at: str | None
    inserted_at: str
    updated_at: str
    span_counts: SpanCounts
    metadata: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET
    risk_score: float | None = None
    risk_level: RiskLevel | None = None
    match: MatchView | msgspec.UnsetType | None = msgspec.UNSET
    first_summary: str | msgspec.UnsetType | None = msgspec.UNSET
    total_tokens: int | msgspec.UnsetType | None = msgspec.UNSET
    total_cost: float | msgspec.UnsetType | None = msgspec.UNSET
    currency: str | msgspec.UnsetType | None = msgspec.UNSET


class AgentInstanceDetails(AgentInstanceSummary, frozen=True, kw_only=True):
    """A run. Figures that are not computed yet are null or empty.

    ``quality_payload``, ``quality_summary`` and ``quality_payload_validation`` are those named
    ``default``. A validation is null if nothing was checked. ``quality_summaries`` omits names
    without a summary, because published clients expect a map to strings. In bulk items, quality is
    omitted, except what the item recorded. ``span_schema_counts`` is the number of spans of each
    type, and null in answers to writes.
    """

    quality_payload: Mapping[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    quality_summary: str | msgspec.UnsetType | None = msgspec.UNSET
    quality_payload_validation: Validation | msgspec.UnsetType | None = msgspec.UNSET
    quality_payloads: Mapping[str, Any] | msgspec.UnsetType = msgspec.UNSET
    quality_summaries: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET
    quality_payload_validations: Mapping[str, Validation | None] | msgspec.UnsetType = msgspec.UNSET
    span_schema_counts: Mapping[str, int | Mapping[str, int]] | None = None
    last_activity_span_at: str | None = None
    raised_alert_count: int | None = None
    cost_breakdown: CostBreakdown | None = None
    risk_breakdown: RiskBreakdown | None = None


class InstanceWritten(Success[AgentInstanceDetails], frozen=True, kw_only=True):
    """The answer to a write of a run. ``control`` is present only if the run was terminated."""

    control: ControlView | msgspec.UnsetType = msgspec.UNSET


def instance_written(
    run: AgentInstance, annotations: Annotations, principal: Principal
) -> InstanceWritten:
    """Return the answer to a write of a run."""
    details = instance_details(run, annotations, principal)
    if run.status != "terminated":
        return InstanceWritten(details=details)
    return InstanceWritten(details=details, control=ControlView(reason=run.termination_reason))


def instance_summary(run: AgentInstance, metadata: Mapping[str, str]) -> AgentInstanceSummary:
    """Return the view of a run in a list."""
    return AgentInstanceSummary(**_fields(run), metadata=metadata)


def instance_details(
    run: AgentInstance,
    annotations: Annotations,
    principal: Principal,
) -> AgentInstanceDetails:
    """Return the full view of a run for a caller. Its quality is omitted if that is None."""
    entries, metadata = annotations
    if entries is None:
        return AgentInstanceDetails(**_fields(run), metadata=metadata)
    payloads = {name: visible_value(entry["payload"], principal) for name, entry in entries.items()}
    summaries = {
        name: summary
        for name, entry in entries.items()
        if (summary := entry["summary"]) is not None
    }
    checks = {name: validation_view(entry.get("problem")) for name, entry in entries.items()}
    return AgentInstanceDetails(
        **_fields(run),
        metadata=metadata,
        quality_payload=payloads.get(DEFAULT_QUALITY),
        quality_summary=summaries.get(DEFAULT_QUALITY),
        quality_payload_validation=checks.get(DEFAULT_QUALITY),
        quality_payloads=payloads,
        quality_summaries=summaries,
        quality_payload_validations=checks,
    )


def _fields(run: AgentInstance) -> dict[str, Any]:
    return {
        "id": run.id,
        "account_id": run.account_id,
        "agent_id": run.agent_id,
        "agent_version_id": run.agent_version_id,
        "agent_schema_version_id": run.agent_schema_version_id,
        "agent_deployment_id": run.agent_deployment_id,
        "environment_id": run.environment_id,
        "external_identifier": run.external_identifier,
        "purpose": run.purpose,
        "status": run.status,
        "termination_reason": run.termination_reason,
        "ended_by": run.ended_by,
        "abandoned": run.abandoned_at is not None,
        "started_at": show_optional_time(run.started_at),
        "finished_at": show_optional_time(run.finished_at),
        "inserted_at": show_time(run.inserted_at),
        "updated_at": show_time(run.updated_at),
        "span_counts": _span_counts(run),
    }


def _span_counts(run: AgentInstance) -> SpanCounts:
    finished = run.complete_spans + run.failed_spans + run.cancelled_spans
    return SpanCounts(
        total=run.pending_spans + run.active_spans + finished,
        pending=run.pending_spans,
        active=run.active_spans,
        complete=run.complete_spans,
        failed=run.failed_spans,
        cancelled=run.cancelled_spans,
        finished=finished,
    )
