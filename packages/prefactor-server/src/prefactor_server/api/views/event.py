"""The events about changed rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from prefactor_server.api.events.messages import reload_message
from prefactor_server.api.views.agent_instance import SpanCounts, instance_summary
from prefactor_server.api.views.base import show_optional_time, show_time
from prefactor_server.domain.event import ChangedRows, EventFilter
from prefactor_server.domain.runs.agent_instance import (
    AgentInstance,
    EndedBy,
    InstanceStatus,
    Purpose,
)
from prefactor_server.domain.runs.agent_span import (
    CLOSED_BY_TERMINATION,
    FINISHED_BEFORE_STARTED,
    SENSITIVE_DISCARDED,
    SENSITIVE_ENCODING,
    UNREGISTERED_TYPE,
    AgentSpan,
    SpanStatus,
)
from prefactor_server.domain.runs.span_kind import Kind, span_kind

_encoder: Final = msgspec.json.Encoder()


class ChangedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as in lists, without the fields that are computed from its spans."""

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
    metadata: Mapping[str, str]


_SHARED_FIELDS: Final = tuple(name for name in ChangedRun.__struct_fields__ if name != "type")


class ChangedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span as in lists, with its summary, but without payloads and their validation."""

    type: Literal["agent_span"] = "agent_span"
    id: str
    agent_id: str
    environment_id: str
    agent_instance_id: str
    parent_span_id: str | None
    schema_name: str
    schema_title: str
    schema_registered: bool
    status: SpanStatus
    summary: str | None
    started_at: str | None
    finished_at: str | None
    inserted_at: str
    updated_at: str
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
    kind: Kind


class EventChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The ``data`` of an event ``changes``.

    Each row occurs once, in its state when the event was created, and replaces the caller's row
    with the same id. A run is also sent if only its spans have changed. ``deleted_runs`` are the
    ids of runs that were deleted with their spans.
    """

    runs: list[ChangedRun]
    spans: list[ChangedSpan]
    deleted_runs: list[str]


def changes_message(position: int, rows: ChangedRows, event_filter: EventFilter) -> bytes:
    """Return the encoded event about changed rows."""
    spans: list[ChangedSpan] = []
    ids = [
        span_id
        for run_id, span_ids in rows.changes.items()
        if event_filter.wants_spans(run_id)
        for span_id in span_ids
    ]
    if ids:
        if rows.spans is None:
            return reload_message(position, "too_many_changes")
        spans = [_changed_span(span) for one in ids if (span := rows.spans.get(one)) is not None]
    runs = [
        _changed_run(run, rows) for one in rows.changes if (run := rows.runs.get(one)) is not None
    ]
    deleted = [one for one in rows.changes if one not in rows.runs]
    data = _encoder.encode(EventChanges(runs=runs, spans=spans, deleted_runs=deleted))
    return b"id: %d\nevent: changes\ndata: %b\n\n" % (position, data)


def _changed_run(run: AgentInstance, rows: ChangedRows) -> ChangedRun:
    metadata = rows.metadata.get(run.id)
    summary = instance_summary(run, {} if metadata is None else metadata.texts())
    return ChangedRun(**{name: getattr(summary, name) for name in _SHARED_FIELDS})


def _changed_span(span: AgentSpan) -> ChangedSpan:
    flags = span.flags
    return ChangedSpan(
        id=span.id,
        agent_id=span.agent_id,
        environment_id=span.environment_id,
        agent_instance_id=span.agent_instance_id,
        parent_span_id=span.parent_span_id,
        schema_name=span.schema_name,
        schema_title=span.schema_title or span.schema_name,
        schema_registered=not flags & UNREGISTERED_TYPE,
        status=span.status,
        summary=span.summary,
        started_at=show_optional_time(span.started_at),
        finished_at=show_optional_time(span.finished_at),
        inserted_at=show_time(span.inserted_at),
        updated_at=show_time(span.updated_at),
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
        kind=span_kind(
            span.schema_name,
            has_model=span.model is not None,
            has_tool=span.tool_name is not None,
        ),
    )
