"""Spans: show one, list those of a run or an agent, or read several by id."""

from __future__ import annotations

from typing import Final

from prefactor_server.api.endpoints.runs.agent_instance_filters import AGENT, agent_filters
from prefactor_server.api.endpoints.runs.agent_span import purpose_of
from prefactor_server.api.kernel import query
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import Call, Parameter, Read
from prefactor_server.api.views.agent_span import AgentSpanView, payload_bytes, span_view
from prefactor_server.api.views.base import Listed, Success, listed
from prefactor_server.api.views.risk import with_levels
from prefactor_server.domain.errors import (
    BadRequest,
    FieldError,
    NotFound,
    TooLarge,
    ValidationFailed,
)
from prefactor_server.domain.listing import MAX_PAGE_SIZE, Listing, Page
from prefactor_server.queries.agent_span import MAX_PAGE_BYTES, SpanRecord

MAX_IDS: Final = MAX_PAGE_SIZE
_STATUSES: Final = ("pending", "active", "complete", "failed", "cancelled")

_LIST = ListQuery(
    filters=(
        FilterParameter(Parameter("agent_instance_id", "The run."), "agent_instance_id"),
        FilterParameter(
            Parameter(
                "start_time",
                "The earliest start.",
                schema={"type": "string", "format": "date-time"},
            ),
            "started_at",
            query.time,
            ">=",
        ),
        FilterParameter(
            Parameter(
                "end_time",
                "The time before which the span started.",
                schema={"type": "string", "format": "date-time"},
            ),
            "started_at",
            query.time,
            "<",
        ),
        FilterParameter(
            Parameter("status", "The status.", schema={"enum": list(_STATUSES)}),
            "status",
            query.one_of(*_STATUSES),
        ),
        FilterParameter(Parameter("schema_name", "The name of the span's type."), "schema_name"),
        FilterParameter(
            Parameter("parent_span_id", "The parent, or null for root spans."),
            "parent_span_id",
            or_null=True,
        ),
    ),
    sorts=(
        "id",
        "status",
        "started_at",
        "finished_at",
        "inserted_at",
        "updated_at",
        "schema_name",
    ),
    # Orders other than by id sort all spans of the run or the agent.
    sort_cost=300,
)
_SUMMARIES = Parameter(
    "include_summaries",
    "Whether to include the summaries of the spans.",
    schema={"type": "boolean", "default": False},
)

_IDS = Parameter("ids", f"Up to {MAX_IDS} ids of spans, separated by commas.")
_NARROWING: Final = frozenset(one.name for one in (AGENT, *_LIST.parameters()))
_REDACTED = Parameter(
    "redacted",
    "Whether to mask sensitive values even if the caller may see them.",
    schema={"type": "boolean", "default": False},
)


async def _get(call: Call) -> Success[AgentSpanView]:
    record = await call.services.reader.agent_spans.show(call.principal, call.path_id)
    call.memory.take(payload_bytes([record]))
    purpose = await purpose_of(call, record.span.agent_instance_id)
    parts = (record.payload, record.result, purpose, call.principal)
    view = span_view(record.span, *parts, redacted=query.flag(call.query, "redacted"))
    (shown,) = await with_levels(call, [record.span], [view])
    return Success(details=shown)


async def _list(call: Call) -> Listed[AgentSpanView]:
    if "ids" in call.query:
        return await _by_ids(call)
    if call.query.keys().isdisjoint(("agent_id", "agent_instance_id")) and (
        call.principal.agent_id is None
    ):
        error = FieldError("required_value", "agent_instance_id or agent_id is required")
        raise ValidationFailed({"agent_instance_id": error})
    listing = _LIST.read(call.query, *await agent_filters(call))
    page = await call.services.reader.agent_spans.page(call.principal, listing)
    return await _listed(call, listing, page)


async def _by_ids(call: Call) -> Listed[AgentSpanView]:
    ids = query.ids("ids", call.query["ids"], MAX_IDS)
    for name in call.query:
        if name != "ids" and name in _NARROWING:
            raise BadRequest(f"Send ids or {name}, not both, because ids select the spans")
    found = await call.services.reader.agent_spans.existing(call.principal, ids, MAX_PAGE_BYTES)
    rows = sorted(found, key=lambda one: one.span.id)
    return await _listed(call, Listing(page_size=MAX_IDS), Page(rows, len(rows), None))


async def _listed(call: Call, listing: Listing, page: Page[SpanRecord]) -> Listed[AgentSpanView]:
    with_summaries = query.flag(call.query, "include_summaries")
    call.memory.take(payload_bytes(page.rows))
    rows = [await _row(call, record, with_summary=with_summaries) for record in page.rows]
    if query.flag(call.query, "include_risk_level") or query.flag(call.query, "include_risk_score"):
        rows = [*await with_levels(call, [record.span for record in page.rows], rows)]
    return listed(listing, page, rows)


async def _row(call: Call, record: SpanRecord, *, with_summary: bool) -> AgentSpanView:
    span = record.span
    purpose = await purpose_of(call, span.agent_instance_id)
    parts = (record.payload, record.result, purpose, call.principal)
    return span_view(span, *parts, with_summary=with_summary)


OPERATIONS = (
    Read(
        name="agent_spans.list",
        # Filters examine all spans of the run or the agent.
        cost=30,
        method="GET",
        path="/api/v1/agent_spans",
        right="read",
        summary="List spans",
        description=(
            "Takes agent_instance_id, agent_id or both, or only ids. With ids, returns the spans "
            "that exist on one page, ordered by id. A page whose payloads have more than 64 MiB is "
            "rejected: ask for fewer spans at once."
        ),
        reply=Listed[AgentSpanView],
        refusals=(TooLarge, ValidationFailed),
        parameters=(_IDS, AGENT, *_LIST.parameters(_SUMMARIES)),
        answer=_list,
    ),
    Read(
        name="agent_spans.show",
        method="GET",
        path="/api/v1/agent_spans/{agent_span_id}",
        right="read",
        summary="Show a span",
        reply=Success[AgentSpanView],
        refusals=(NotFound, ValidationFailed),
        parameters=(_REDACTED,),
        answer=_get,
    ),
)
