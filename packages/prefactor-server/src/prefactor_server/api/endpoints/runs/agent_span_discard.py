"""Discards the sensitive values of a span permanently."""

from __future__ import annotations

from typing import Final

from prefactor_server.api.endpoints.runs.agent_span import purpose_of, show_written
from prefactor_server.api.kernel.fields import NoFields
from prefactor_server.api.kernel.operation import Call, Example, Prepared, Write
from prefactor_server.api.kernel.sensitive import discarded_document
from prefactor_server.api.views.agent_span import SpanWritten, span_view, span_written
from prefactor_server.api.views.base import written_row
from prefactor_server.commands.agent_span import DiscardSensitive
from prefactor_server.commands.base import Done
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
)
from prefactor_server.domain.runs.agent_span import PARAMS, RESULT, AgentSpan, SpanPayload
from prefactor_server.payloads import encode_document
from prefactor_server.queries.agent_span import SpanRecord


async def _prepare(call: Call, body: NoFields) -> Prepared:
    del body
    record = await call.services.reader.agent_spans.find(call.principal, call.path_id)
    if record is None:
        # It may have been created by the same bulk request, so the command decides.
        return Prepared(_command(call, None, {}))
    documents = {PARAMS: discarded_document(record.payload)}
    if record.result is not None:
        documents[RESULT] = discarded_document(record.result)
    command = _command(call, record, documents)
    held_bytes = sum(len(payload.body) for payload in command.payloads)
    if not call.work.keep(sum(map(len, documents.values()))):
        return Prepared(command, held_bytes=held_bytes)
    purpose = await purpose_of(call, record.span.agent_instance_id)

    def reply(done: Done) -> SpanWritten:
        row = written_row(done, AgentSpan)
        payloads = (documents[PARAMS], documents.get(RESULT))
        view = span_view(row, *payloads, purpose, call.principal)
        return span_written(view, done.control)

    return Prepared(command, reply, held_bytes)


def _command(
    call: Call, record: SpanRecord | None, documents: dict[int, bytes]
) -> DiscardSensitive:
    before = {} if record is None else {PARAMS: record.payload, RESULT: record.result}
    changed = {part: document for part, document in documents.items() if document != before[part]}
    span = None if record is None else record.span
    payload_size = 0 if span is None else span.payload_size
    result_size = 0 if span is None else span.result_size
    return DiscardSensitive(
        request=call.request(),
        principal=call.principal,
        id=call.path_id,
        seen=span,
        payload_size=len(changed[PARAMS]) if PARAMS in changed else payload_size,
        result_size=len(changed[RESULT]) if RESULT in changed else result_size,
        payloads=tuple(
            SpanPayload(call.principal.account_id, call.path_id, part, *encode_document(document))
            for part, document in changed.items()
        ),
    )


OPERATIONS: Final = (
    Write(
        name="agent_spans.discard_sensitive",
        method="POST",
        path="/api/v1/agent_spans/{agent_span_id}/discard_sensitive",
        right="administer",
        summary="Discard the sensitive values of a span",
        description=(
            "Permanently replaces every value that is marked as sensitive, in the payload and the "
            "result, with a marker. A span without such values stays as it is. A span of a run on "
            "legal hold is not changed, and the response is 409."
        ),
        access="account",
        reply=SpanWritten,
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=NoFields,
        prepare=_prepare,
        show=show_written,
        examples=(Example("With an idempotency key", {"idempotency_key": "once-0001"}),),
    ),
)
