"""Spans: show one, list those of a run or agent, read several by their ids."""

from __future__ import annotations

from typing import Final

from prefactor_server.api.kernel import query
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import Call, Parameter, Read
from prefactor_server.api.views.agent_span import AgentSpanView, payload_bytes, span_view
from prefactor_server.api.views.base import Listed, Success, listed
from prefactor_server.api.views.risk import with_levels
from prefactor_server.domain.errors import BadRequest, FieldError, NotFound, ValidationFailed
from prefactor_server.domain.listing import MAX_PAGE_SIZE, Filter, Listing, Page
from prefactor_server.domain.runs.agent_instance import Purpose
from prefactor_server.queries.agent_span import SpanRecord

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
                "The moment that the start came before.",
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
            Parameter("parent_span_id", "The parent, or null for the roots of a run."),
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
)
_AGENT = Parameter("agent_id", "The agent's id, or its external identifier.")
_SUMMARIES = Parameter(
    "include_summaries",
    "Whether rows carry the summaries that their types' templates give.",
    schema={"type": "boolean", "default": False},
)

_IDS = Parameter(
    "ids", f"The ids of spans to read at once, at most {MAX_IDS}, with commas between."
)
_NARROWING: Final = frozenset(one.name for one in (_AGENT, *_LIST.parameters()))
_REDACTED = Parameter(
    "redacted",
    "Whether to hide sensitive values from a caller who may see them, too.",
    schema={"type": "boolean", "default": False},
)


async def _get(call: Call) -> Success[AgentSpanView]:
    record = await call.services.reader.agent_spans.show(call.principal, call.path_id)
    call.memory.take(payload_bytes([record]))
    purpose = await _purpose(call, record.span.agent_instance_id)
    parts = (record.payload, record.result, purpose, call.principal)
    view = span_view(record.span, *parts, redacted=query.flag(call.query, "redacted"))
    (shown,) = await with_levels(call, [record.span], [view])
    return Success(details=shown)


async def _list(call: Call) -> Listed[AgentSpanView]:
    if "ids" in call.query:
        return await _by_ids(call)
    reader, agent = call.services.reader, call.query.get("agent_id")
    if agent is None and "agent_instance_id" not in call.query and call.principal.agent_id is None:
        needed = FieldError("required_value", "agent_instance_id or agent_id is required")
        raise ValidationFailed({"agent_instance_id": needed})
    agent_filter = (
        ()
        if agent is None
        else (Filter("agent_id", "=", await reader.agents.resolve_id(call.principal, agent)),)
    )
    listing = _LIST.read(call.query, *agent_filter)
    return await _shown(call, listing, await reader.agent_spans.page(call.principal, listing))


async def _by_ids(call: Call) -> Listed[AgentSpanView]:
    ids = query.ids("ids", call.query["ids"], MAX_IDS)
    for name in call.query:
        if name != "ids" and name in _NARROWING:
            raise BadRequest(f"Send ids or {name}, not both: ids name the spans already")
    found = await call.services.reader.agent_spans.existing(call.principal, ids)
    rows = sorted(found, key=lambda one: one.span.id)
    return await _shown(call, Listing(page_size=MAX_IDS), Page(rows, len(rows), None))


async def _shown(call: Call, listing: Listing, page: Page[SpanRecord]) -> Listed[AgentSpanView]:
    with_summaries = query.flag(call.query, "include_summaries")
    call.memory.take(payload_bytes(page.rows))
    rows = [await _row(call, record, with_summary=with_summaries) for record in page.rows]
    if query.flag(call.query, "include_risk_level") or query.flag(call.query, "include_risk_score"):
        rows = [*await with_levels(call, [record.span for record in page.rows], rows)]
    return listed(listing, page, rows)


async def _row(call: Call, record: SpanRecord, *, with_summary: bool) -> AgentSpanView:
    span = record.span
    purpose = await _purpose(call, span.agent_instance_id)
    parts = (record.payload, record.result, purpose, call.principal)
    return span_view(span, *parts, with_summary=with_summary)


async def _purpose(call: Call, run_id: str) -> Purpose | None:
    run = await call.services.span_preparer.run(call.principal, run_id, call.pending)
    return None if run is None else run.purpose


OPERATIONS = (
    Read(
        name="agent_spans.list",
        method="GET",
        path="/api/v1/agent_spans",
        right="read",
        summary="List spans",
        description=(
            "Takes agent_instance_id, agent_id or both, or else ids alone: then the answer is one "
            "page of those that exist, in the order of their ids."
        ),
        reply=Listed[AgentSpanView],
        refusals=(ValidationFailed,),
        parameters=(_IDS, _AGENT, *_LIST.parameters(_SUMMARIES)),
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
