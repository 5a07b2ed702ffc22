"""Spans: create and finish them. See also `agent_span_read`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from prefactor_server.api.kernel.fields import (
    ClientId,
    IdempotentFields,
    JsonObject,
    Name,
    NewId,
    Timestamp,
)
from prefactor_server.api.kernel.operation import Call, Example, Prepared, Write
from prefactor_server.api.kernel.sensitive import discarded_document
from prefactor_server.api.kernel.span_payload import RequestPayload
from prefactor_server.api.kernel.span_preparation import RunFacts, SpanStart, span_facts
from prefactor_server.api.views.agent_span import (
    SpanWritten,
    span_view,
    span_written,
)
from prefactor_server.api.views.base import written_row
from prefactor_server.api.views.minimal import MinimalWritten, minimal_span
from prefactor_server.commands.agent_span import CreateSpan, FinishSpan, SpanFacts, control_of
from prefactor_server.commands.base import Done
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    TooLarge,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.runs.agent_instance import FinishStatus, Purpose
from prefactor_server.domain.runs.agent_span import (
    FINISHED,
    PARAMS,
    RESULT,
    SENSITIVE_DISCARDED,
    SENSITIVE_ENCODING,
    AgentSpan,
    SpanStatus,
)
from prefactor_server.validation.span_types import SpanChecker

_NO_PAYLOAD: Final = b"{}"


class CreateSpanFields(IdempotentFields, kw_only=True):
    """A new span, active by default. It starts now unless it is pending."""

    agent_instance_id: ClientId
    schema_name: Name
    status: SpanStatus | None = None
    payload: JsonObject | None = None
    result_payload: JsonObject | None = None
    id: NewId | None = None
    parent_span_id: ClientId | None = None
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    sensitive_encoding: bool | None = None


class FinishSpanFields(msgspec.Struct, kw_only=True):
    """The status, time and result of a span's end, complete and now by default."""

    status: FinishStatus | None = None
    timestamp: Timestamp | None = None
    result_payload: JsonObject | None = None
    sensitive_encoding: bool | None = None


async def prepare_create(call: Call, body: CreateSpanFields) -> Prepared:
    """Return the command that creates a span, with its answer."""
    principal, status = call.principal, body.status or "active"
    if body.result_payload is not None and status not in FINISHED:
        raise invalid("result_payload", "is valid only with a finished status")
    limit = call.services.limits.max_payload_bytes
    payload = RequestPayload.of("payload", body.payload or {}, limit)
    result = RequestPayload.of("result_payload", body.result_payload, limit)
    span_preparer, run_id = call.services.span_preparer, body.agent_instance_id
    run = span_preparer.known_run(principal, run_id, call.pending)
    if run is None:
        run = await span_preparer.run(principal, run_id, call.pending)
    version = None if run is None else run.schema_version_id
    checker = call.pending.checkers.get((version, body.schema_name))
    if checker is None:
        checker = await _checker(call, version, body.schema_name)
    span_id = body.id or call.new_id_in_run(run_id)
    # By position, which takes a third of the time here, once for every span.
    command = CreateSpan(
        call.request(),
        principal,
        span_id,
        run_id,
        body.parent_span_id,
        body.schema_name,
        status,
        _time(body.started_at, None if status == "pending" else call.now),
        _time(body.finished_at, call.now if status in FINISHED else None),
        SENSITIVE_ENCODING if body.sensitive_encoding else 0,
        payload.size,
        result.size,
        (
            *(payload.stored(principal.account_id, span_id, PARAMS) if payload.value else ()),
            *result.stored(principal.account_id, span_id, RESULT),
        ),
        version,
        _facts(call, checker, body.schema_name, (payload, result), status),
    )
    start = SpanStart(run_id, body.schema_name, payload.document)
    open_span = status not in FINISHED
    if open_span:
        call.pending.spans[span_id] = start

    def reply(done: Done) -> SpanWritten | MinimalWritten:
        if open_span:
            call.services.span_preparer.remember_span(principal, span_id, start)
        return _written(call, done, (payload.document, result.shown), run)

    return Prepared(command, reply)


async def _prepare_finish(call: Call, body: FinishSpanFields) -> Prepared:
    principal, status = call.principal, body.status or "complete"
    limit = call.services.limits.max_payload_bytes
    result = RequestPayload.of("result_payload", body.result_payload, limit)
    start = await call.services.span_preparer.span(principal, call.path_id, call.pending)
    facts = run = None
    if start is not None:
        run = await call.services.span_preparer.run(
            principal, start.agent_instance_id, call.pending
        )
        parts = (RequestPayload.from_stored(start.payload), result)
        version = None if run is None else run.schema_version_id
        checker = call.pending.checkers.get((version, start.schema_name))
        if checker is None:
            checker = await _checker(call, version, start.schema_name)
        facts = _facts(call, checker, start.schema_name, parts, status)
    command = FinishSpan(
        request=call.request(),
        principal=principal,
        id=call.path_id,
        status=status,
        finished_at=call.now if body.timestamp is None else int(body.timestamp),
        flags=SENSITIVE_ENCODING if body.sensitive_encoding else 0,
        result_size=result.size,
        payloads=result.stored(principal.account_id, call.path_id, RESULT),
        facts=facts,
    )
    payload = _NO_PAYLOAD if start is None or _is_minimal(call) else start.payload
    if not call.work.keep(len(payload)):
        return Prepared(command)

    def reply(done: Done) -> SpanWritten | MinimalWritten:
        return _written(call, done, (payload, result.shown), run)

    return Prepared(command, reply)


async def _prefetch(calls: Sequence[Call]) -> None:
    call = calls[0]
    ids = [one.path_id for one in calls]
    await call.services.span_preparer.prefetch_spans(call.principal, ids, call.pending)


async def _checker(call: Call, schema_version_id: str | None, schema_name: str) -> SpanChecker:
    if schema_version_id is None:
        return SpanChecker(schema_name)
    return await call.services.span_preparer.checker(
        call.principal, schema_version_id, schema_name, call.pending, call.work
    )


def _facts(
    call: Call,
    checker: SpanChecker,
    schema_name: str,
    parts: tuple[RequestPayload, RequestPayload],
    status: SpanStatus,
) -> SpanFacts:
    payload, result = parts
    return span_facts(
        checker,
        schema_name,
        payload.value or {},
        result.value,
        complete=status == "complete",
        budget=call.work.budget,
    )


def _is_minimal(call: Call) -> bool:
    return call.is_item and call.prefers_minimal


def _time(timestamp: Timestamp | None, default: int | None) -> int | None:
    return default if timestamp is None else int(timestamp)


def _written(
    call: Call, done: Done, documents: tuple[bytes, bytes | None], run: RunFacts | None
) -> SpanWritten | MinimalWritten:
    row = written_row(done, AgentSpan)
    if _is_minimal(call):
        return minimal_span(row, done.control)
    purpose = None if run is None else run.purpose
    payload, result = documents
    if row.flags & SENSITIVE_DISCARDED:
        # The cached payload may be from before its values were discarded.
        payload = discarded_document(payload)
    view = span_view(row, payload, result, purpose, call.principal)
    return span_written(view, done.control)


async def purpose_of(call: Call, run_id: str) -> Purpose | None:
    """Return the purpose of a run, or None if the caller cannot see it."""
    run = await call.services.span_preparer.run(call.principal, run_id, call.pending)
    return None if run is None else run.purpose


async def show_written(call: Call, span_id: str) -> SpanWritten:
    """Return the answer to a repeated write, with the run's current control signal."""
    reader = call.services.reader
    record = await reader.agent_spans.show(call.principal, span_id)
    run = await reader.agent_instances.show(call.principal, record.span.agent_instance_id)
    view = span_view(record.span, record.payload, record.result, run.purpose, call.principal)
    return span_written(view, control_of(run))


_WRITE: Final[dict[str, Any]] = {
    "method": "POST",
    "reply": SpanWritten,
    "refusals": (NotFound, InvalidAction, IdempotencyKeyUsed, TooLarge, ValidationFailed),
    "show": show_written,
}

OPERATIONS = (
    Write(
        **_WRITE,
        name="agent_spans.create",
        max_body_bytes=None,
        path="/api/v1/agent_spans",
        right="operate",
        summary="Create a span",
        description=(
            "Accepts spans of runs in any status. If the run was terminated, the response has a "
            "control signal. A payload that does not match its type is stored and marked. The "
            "idempotency key may also be in details."
        ),
        body=CreateSpanFields,
        wrapped=True,
        prepare=prepare_create,
        examples=(
            Example(
                "A new step",
                {
                    "details": {
                        "agent_instance_id": "run-1",
                        "schema_name": "agent:llm",
                        "status": "active",
                        "payload": {"model": "gpt-4", "prompt": "Hello"},
                    }
                },
            ),
        ),
    ),
    Write(
        **_WRITE,
        name="agent_spans.finish",
        max_body_bytes=None,
        path="/api/v1/agent_spans/{agent_span_id}/finish",
        right="operate",
        summary="Finish a span",
        description=(
            "An active span becomes complete, failed or cancelled; a pending one can only be "
            "cancelled. A span that the termination of its run closed can be finished once. The "
            "body is optional."
        ),
        body=FinishSpanFields,
        prepare=_prepare_finish,
        prefetch=_prefetch,
        examples=(Example("A result", {"result_payload": {"response": "Hello there"}}),),
    ),
)
