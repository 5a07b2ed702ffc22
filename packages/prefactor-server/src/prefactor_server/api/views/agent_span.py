"""The views of a span."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from prefactor_server.api.kernel.sensitive import visible_document
from prefactor_server.api.views.base import ControlView, Success, show_optional_time, show_time
from prefactor_server.commands.base import Control
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.risk.risk_score import RiskLevel
from prefactor_server.domain.runs.agent_instance import Purpose
from prefactor_server.domain.runs.agent_span import (
    CLOSED_BY_TERMINATION,
    FINISHED_BEFORE_STARTED,
    SENSITIVE_DISCARDED,
    SENSITIVE_ENCODING,
    UNREGISTERED_TYPE,
    AgentSpan,
    SpanStatus,
)
from prefactor_server.queries.agent_span import SpanRecord


class Validation(msgspec.Struct, frozen=True):
    """Whether a payload matches the schema that was declared for it."""

    status: Literal["success", "error"]
    message: str | None


_VALID: Final = Validation("success", None)


class AgentSpanView(msgspec.Struct, frozen=True, kw_only=True):
    """A span. In lists, ``summary`` is null without ``include_summaries``.

    ``payload_validation`` and ``result_payload_validation`` are null if nothing was checked: the
    type is not registered, or its schema cannot be used. ``risk_level`` and ``risk_score`` are
    null if the agent has no risk profile, in answers to writes, and in lists without
    ``include_risk_level``.
    """

    type: Literal["agent_span"] = "agent_span"
    id: str
    account_id: str
    agent_id: str
    environment_id: str
    agent_instance_id: str
    parent_span_id: str | None
    schema_name: str
    schema_title: str
    schema_registered: bool
    status: SpanStatus
    payload: msgspec.Raw
    result_payload: msgspec.Raw | None
    summary: str | None
    started_at: str | None
    finished_at: str | None
    inserted_at: str
    updated_at: str
    payload_validation: Validation | None
    result_payload_validation: Validation | None
    payload_byte_size_estimate: int
    sensitive_encoding: bool
    sensitive_discarded: bool
    closed_by_termination: bool
    finished_before_started: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    model: str | None
    tool_name: str | None
    purpose: Purpose | None
    risk_level: RiskLevel | None = None
    risk_score: float | None = None


class SpanWritten(Success[AgentSpanView], frozen=True, kw_only=True):
    """The answer to a write of a span. ``control`` is present only if its run was terminated."""

    control: ControlView | msgspec.UnsetType = msgspec.UNSET


def span_view(
    span: AgentSpan,
    payload: bytes,
    result: bytes | None,
    purpose: Purpose | None,
    principal: Principal,
    *,
    with_summary: bool = True,
    redacted: bool = False,
) -> AgentSpanView:
    """Return the view of a span for a caller. Its payloads stay encoded."""
    flags = span.flags

    def visible(document: bytes) -> msgspec.Raw:
        return msgspec.Raw(visible_document(document, principal, redacted=redacted))

    return AgentSpanView(
        id=span.id,
        account_id=span.account_id,
        agent_id=span.agent_id,
        environment_id=span.environment_id,
        agent_instance_id=span.agent_instance_id,
        parent_span_id=span.parent_span_id,
        schema_name=span.schema_name,
        schema_title=span.schema_title or span.schema_name,
        schema_registered=not flags & UNREGISTERED_TYPE,
        status=span.status,
        payload=visible(payload),
        result_payload=None if result is None else visible(result),
        summary=span.summary if with_summary else None,
        started_at=show_optional_time(span.started_at),
        finished_at=show_optional_time(span.finished_at),
        inserted_at=show_time(span.inserted_at),
        updated_at=show_time(span.updated_at),
        payload_validation=validation_view(span.payload_problem),
        result_payload_validation=validation_view(span.result_problem),
        payload_byte_size_estimate=span.payload_size + span.result_size,
        sensitive_encoding=bool(flags & SENSITIVE_ENCODING),
        sensitive_discarded=bool(flags & SENSITIVE_DISCARDED),
        closed_by_termination=bool(flags & CLOSED_BY_TERMINATION),
        finished_before_started=bool(flags & FINISHED_BEFORE_STARTED),
        prompt_tokens=span.prompt_tokens,
        completion_tokens=span.completion_tokens,
        total_tokens=span.total_tokens,
        model=span.model,
        tool_name=span.tool_name,
        purpose=purpose,
    )


def span_written(view: AgentSpanView, control: Control | None) -> SpanWritten:
    """Return the answer to a write of a span."""
    if control is None:
        return SpanWritten(details=view)
    return SpanWritten(details=view, control=ControlView(reason=control.reason))


def validation_view(problem: str | None) -> Validation | None:
    """Return the view of a validation, or None if nothing was checked."""
    if problem is None:
        return None
    return Validation("error", problem) if problem else _VALID


def payload_bytes(records: Iterable[SpanRecord]) -> int:
    """Return the number of payload bytes that were read with these spans."""
    return sum(len(one.payload) + len(one.result or b"") for one in records)
