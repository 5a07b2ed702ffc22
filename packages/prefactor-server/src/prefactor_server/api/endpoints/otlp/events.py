"""Stores model events that instrumentation sends as log records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from prefactor_server.api.endpoints.otlp.recording import Outcome
from prefactor_server.api.kernel.operation import Call
from prefactor_server.api.kernel.span_payload import RequestPayload
from prefactor_server.api.kernel.span_preparation import PendingWrites, span_facts
from prefactor_server.commands.base import Done, Stale
from prefactor_server.commands.otlp_events import AmendedSpan, RecordEvents
from prefactor_server.domain.errors import Contended
from prefactor_server.domain.runs.agent_span import PARAMS, RESULT, SENSITIVE_DISCARDED
from prefactor_server.domain.runs.otlp_trace import span_id, trace_key
from prefactor_server.otlp.events import EventsBySpan, add_events, amended, events_by_span
from prefactor_server.otlp.mapping import within
from prefactor_server.otlp.memory import KnownTrace
from prefactor_server.otlp.received import ReceivedEvent, Rejected, Resource
from prefactor_server.otlp.trace_state import TraceState, read_state, write_state
from prefactor_server.queries.agent_span import SpanRecord

_MAX_ATTEMPTS: Final = 5


async def record_events(
    call: Call, events: Iterable[tuple[Resource, ReceivedEvent | None] | Rejected], size: int
) -> Outcome:
    """Store events, and return how many records were rejected.

    Other log records are ignored.
    """
    outcome = Outcome()
    by_trace: dict[tuple[str, str], list[ReceivedEvent]] = {}
    for one in events:
        if call.work.is_due():
            await call.work.pause()
        if isinstance(one, Rejected):
            outcome.reject(one.reason)
            continue
        resource, event = one
        if event is not None:
            agent_ref = call.principal.agent_id or resource.service
            by_trace.setdefault((agent_ref, event.trace_id), []).append(event)
    for (agent_ref, trace_id), trace_events in by_trace.items():
        await _store(call, agent_ref, trace_id, trace_events, size=size // len(by_trace))
    return outcome


async def _store(
    call: Call, agent_ref: str, trace_id: str, events: Sequence[ReceivedEvent], *, size: int
) -> None:
    ref = (call.principal.account_id, trace_key(agent_ref, trace_id))
    for _ in range(_MAX_ATTEMPTS):
        command = await _command(call, agent_ref, trace_id, events)
        if command is None:
            return
        (outcome,) = await call.services.writer.submit([command], size)
        if isinstance(outcome, Done):
            call.services.otlp.remember(ref, KnownTrace(command.run_id, command.row_after()))
            return
        if not isinstance(outcome, Stale):
            raise outcome.refusal
    raise Contended("Concurrent requests keep changing the same trace: send the records again")


async def _command(
    call: Call, agent_ref: str, trace_id: str, events: Sequence[ReceivedEvent]
) -> RecordEvents | None:
    """Return the command that stores events of one trace, or None if all are stored."""
    principal, reader = call.principal, call.services.reader
    key = trace_key(agent_ref, trace_id)
    row = await reader.otlp_traces.find(principal, key)
    before = TraceState() if row is None else read_state(row.document)
    after = add_events(before, events)
    if after.events == before.events:
        return None
    run = "" if row is None else row.agent_instance_id
    if not run:
        found = await reader.otlp_traces.run(principal, agent_ref, trace_id)
        run = "" if found is None else found.id
    spans: list[AmendedSpan] = []
    if run:
        otel_ids = {
            span_id(run, principal.partition, trace_id, one.span_id): one.span_id for one in events
        }
        of_before, of_after = events_by_span(before), events_by_span(after)
        async for record in reader.agent_spans.each(principal, otel_ids):
            if record.span.flags & SENSITIVE_DISCARDED:
                continue
            spans += await _amend(call, record, of_before, of_after, otel_ids[record.span.id])
    return RecordEvents(
        request=call.request(),
        key=key,
        seen=row,
        run_id=run,
        amended=tuple(spans),
        document=write_state(after),
    )


async def _amend(
    call: Call, record: SpanRecord, before: EventsBySpan, after: EventsBySpan, otel_id: str
) -> list[AmendedSpan]:
    """Return the stored span with its events, or an empty list if they change nothing."""
    stored = (msgspec.json.decode(record.payload), msgspec.json.decode(record.result or b"{}"))
    changed = amended(*stored, before.get(otel_id, ()), after.get(otel_id, ()))
    if changed == stored:
        return []
    limit = call.services.limits.max_payload_bytes
    payload = RequestPayload(*within(changed[0], limit))
    result = RequestPayload(*within(changed[1], limit))
    span, pending = record.span, PendingWrites()
    preparer, principal = call.services.span_preparer, call.principal
    run = await preparer.run(principal, span.agent_instance_id, pending)
    if run is None:
        return []
    checker = await preparer.checker(
        principal, run.schema_version_id, span.schema_name, pending, call.work
    )
    facts = span_facts(
        checker,
        span.schema_name,
        payload.value or {},
        result.value,
        complete=span.status == "complete",
        budget=call.work.budget,
    )
    payloads = (
        *payload.stored(principal.account_id, span.id, PARAMS),
        *result.stored(principal.account_id, span.id, RESULT),
    )
    return [AmendedSpan(span, payload.size, result.size, payloads, facts)]
