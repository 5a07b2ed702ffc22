"""Quality: records the results of evaluations, in each of the forms that clients use."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from prefactor_server.api.endpoints.runs.agent_instance import show, written_by
from prefactor_server.api.kernel.fields import JsonObject, Name
from prefactor_server.api.kernel.operation import Call, Example, Prepared, Write
from prefactor_server.api.kernel.span_payload import RequestPayload
from prefactor_server.api.views.agent_instance import InstanceWritten
from prefactor_server.commands.quality import RecordQuality
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    NotFound,
    TooLarge,
    ValidationFailed,
)
from prefactor_server.domain.runs.quality import DEFAULT_QUALITY, entry_text
from prefactor_server.validation.quality import QualityCheck, check_quality


class QualityFields(msgspec.Struct, kw_only=True):
    """The result of one evaluation of a run. A null payload removes the previous result."""

    name: Name
    payload: JsonObject | None


class DefaultQualityFields(msgspec.Struct, kw_only=True):
    """The result named ``default``, from clients that support only one."""

    quality_payload: JsonObject | None


async def _prepare_record(call: Call, body: QualityFields) -> Prepared:
    return await _prepared(call, "agent_instances.record_quality", body.name, body.payload, "name")


async def _prepare_update(call: Call, body: DefaultQualityFields) -> Prepared:
    return await _prepared(call, "agent_instances.update", DEFAULT_QUALITY, body.quality_payload)


async def _prepare_replace(call: Call, body: DefaultQualityFields) -> Prepared:
    return await _prepared(call, "agent_instances.replace", DEFAULT_QUALITY, body.quality_payload)


async def _prepared(
    call: Call,
    operation: str,
    name: str,
    payload: JsonObject | None,
    field: str = "quality_payload",
) -> Prepared:
    limit, span_preparer = call.services.limits.max_payload_bytes, call.services.span_preparer
    request_payload = RequestPayload.of("payload", payload, limit)
    run = await span_preparer.run(call.principal, call.path_id, call.pending)
    check = QualityCheck(None, None)
    if run is not None and payload is not None:
        types = await span_preparer.quality_types(
            call.principal, run.schema_version_id, call.pending
        )
        await span_preparer.compile_ahead(types, name, call.work)
        check = check_quality(types, name, payload, call.work.budget)
    document = request_payload.document
    entry = None if payload is None else entry_text(document, check.summary, check.problem)
    command = RecordQuality(
        operation=operation,
        request=call.request(),
        principal=call.principal,
        id=call.path_id,
        name=name,
        entry=entry,
        schema_version_id=None if run is None else run.schema_version_id,
        max_bytes=limit,
        field=field,
    )
    return Prepared(command, written_by(call, name), _held_bytes(call, limit))


def _held_bytes(call: Call, limit: int) -> int:
    """Return roughly what the batch will hold of the quality of a run, once for each run."""
    runs = call.pending.evaluated_runs
    if call.path_id in runs:
        return 0
    runs.add(call.path_id)
    # A document is loaded, split and encoded again, and few have the size that they may have.
    return limit // 3


_WRITE: Final[dict[str, Any]] = {
    "reply": InstanceWritten,
    "refusals": (NotFound, IdempotencyKeyUsed, TooLarge, ValidationFailed),
    "show": show,
}
_UPDATE: Final[dict[str, Any]] = {
    **_WRITE,
    "body": DefaultQualityFields,
    "wrapped": True,
    "examples": (Example("A grade", {"details": {"quality_payload": {"grade": "A"}}}),),
}

OPERATIONS = (
    Write(
        **_WRITE,
        name="agent_instances.record_quality",
        max_body_bytes=None,
        method="POST",
        path="/api/v1/agent_instance/{agent_instance_id}/record_quality",
        right="operate",
        summary="Record the result of an evaluation of a run",
        description=(
            "Works in any status of the run. A null payload removes only the entry of this name. "
            "The payload is checked against the quality schema of this name that the run's "
            "registration declared, and marked if it does not match. The summary is rendered from "
            "the schema's template. Without a schema, the entry has no check and no summary."
        ),
        body=QualityFields,
        prepare=_prepare_record,
        examples=(Example("A grade", {"name": "helpful", "payload": {"grade": "A"}}),),
    ),
    Write(
        **_UPDATE,
        name="agent_instances.update",
        max_body_bytes=None,
        method="POST",
        path="/api/v1/agent_instance/{agent_instance_id}/update",
        right="operate",
        summary="Record the quality named default",
        description="For clients that support only one quality.",
        prepare=_prepare_update,
    ),
    Write(
        **_UPDATE,
        name="agent_instances.replace",
        max_body_bytes=None,
        method="PUT",
        path="/api/v1/agent_instance/{agent_instance_id}",
        right="operate",
        summary="Replace the quality named default",
        description="For clients that support only one quality. The whole payload is replaced.",
        prepare=_prepare_replace,
    ),
)
