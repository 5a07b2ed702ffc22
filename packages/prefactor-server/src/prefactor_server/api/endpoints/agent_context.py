"""A run and everything related to it in one document, for a person or a model to read."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from prefactor_server.api.endpoints.agent import show_agent
from prefactor_server.api.endpoints.agent_schema_version import show_schema_version
from prefactor_server.api.endpoints.agent_version import AgentVersionView, show_version
from prefactor_server.api.endpoints.runs.agent_instance import show_in_full
from prefactor_server.api.kernel.operation import Call, Read
from prefactor_server.api.views.agent import AgentDetails
from prefactor_server.api.views.agent_instance import AgentInstanceDetails
from prefactor_server.api.views.agent_schema_version import AgentSchemaVersionDetails
from prefactor_server.api.views.agent_span import AgentSpanView, payload_bytes, span_view
from prefactor_server.api.views.base import show_time
from prefactor_server.domain.errors import Limit, NotFound, TooLarge
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.queries.agent_span import SpanRecord

MAX_SPANS: Final = 10_000
MAX_PAYLOAD_BYTES: Final = 64 * 1024 * 1024
_PAGE: Final = 100
_READ_PAGES: Final = "Read its spans page by page, with GET /api/v1/agent_spans"


class AgentContextBody(msgspec.Struct, frozen=True, kw_only=True):
    """The run, the resources that it belongs to, and its spans ordered by start time."""

    agent_instance: AgentInstanceDetails
    agent: AgentDetails
    agent_version: AgentVersionView
    agent_schema_version: AgentSchemaVersionDetails
    agent_spans: list[AgentSpanView]


class AgentContext(msgspec.Struct, frozen=True, kw_only=True):
    """The document, its creation time, and the number of spans in it."""

    body: AgentContextBody
    generated_at: str
    span_count: int


class AgentContextView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    status: Literal["success"] = "success"
    agent_context: AgentContext


async def _answer(call: Call) -> AgentContextView:
    run = (await show_in_full(call)).details
    spans = await _spans(call, run)
    body = AgentContextBody(
        agent_instance=run,
        agent=(await show_agent(call, run.agent_id)).details,
        agent_version=(await show_version(call, run.agent_version_id)).details,
        agent_schema_version=(await show_schema_version(call, run.agent_schema_version_id)).details,
        agent_spans=[
            span_view(one.span, one.payload, one.result, run.purpose, call.principal)
            for one in spans
        ],
    )
    context = AgentContext(
        body=body, generated_at=show_time(call.now), span_count=len(body.agent_spans)
    )
    return AgentContextView(agent_context=context)


async def _spans(call: Call, run: AgentInstanceDetails) -> list[SpanRecord]:
    """Return all spans of a run, ordered by start time; spans that never started come last."""
    if run.span_counts.total > MAX_SPANS:
        raise TooLarge(
            f"The run has more than {MAX_SPANS} spans. {_READ_PAGES}",
            Limit("export_spans", MAX_SPANS),
        )
    of_run = (Filter("agent_instance_id", "=", run.id),)
    listing = Listing(filters=of_run, page_size=_PAGE)
    records: list[SpanRecord] = []
    size = 0
    while True:
        try:
            page = await call.services.reader.agent_spans.page(call.principal, listing)
        except TooLarge:
            raise _too_large() from None
        records += page.rows
        read = payload_bytes(page.rows)
        call.memory.take(read)
        size += read
        if size > MAX_PAYLOAD_BYTES:
            raise _too_large()
        if page.next is None:
            return sorted(records, key=_start_order)
        listing = listing._replace(after=page.next)


def _too_large() -> TooLarge:
    return TooLarge(
        f"The payloads of the run have more than {MAX_PAYLOAD_BYTES} bytes. {_READ_PAGES}",
        Limit("export_bytes", MAX_PAYLOAD_BYTES),
    )


def _start_order(record: SpanRecord) -> tuple[bool, int, str]:
    started_at = record.span.started_at
    return started_at is None, started_at or 0, record.span.id


OPERATIONS = (
    Read(
        name="agent_instances.agent_context",
        cost=300,
        method="GET",
        path="/api/v1/agent_instance/{agent_instance_id}/agent_context",
        right="read",
        summary="Export a run with the resources that it belongs to",
        description=(
            "Returns the run, its agent, version and schema version, and all its spans ordered by "
            f"start time. A run with more than {MAX_SPANS} spans is rejected, not truncated."
        ),
        reply=AgentContextView,
        refusals=(NotFound, TooLarge),
        answer=_answer,
    ),
)
