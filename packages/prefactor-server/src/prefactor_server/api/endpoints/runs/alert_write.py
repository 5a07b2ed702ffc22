"""Alerts: raise and clear them."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from prefactor_server.api.endpoints.runs.alert import show
from prefactor_server.api.kernel.fields import ClientId, JsonObject, Name
from prefactor_server.api.kernel.operation import Call, Example, Prepared, Write
from prefactor_server.api.kernel.span_payload import RequestPayload
from prefactor_server.api.views.alert import AlertWritten, alert_written
from prefactor_server.commands.alert import ClearAlert, RaiseAlert
from prefactor_server.commands.base import Command, Done
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    NotFound,
    NotPermitted,
    TooLarge,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.runs.alert import (
    DEFAULT_SEVERITY,
    MAX_PAYLOAD_BYTES,
    RESERVED_NAMES,
    AlertFacts,
    AlertSeverity,
)
from prefactor_server.validation.alert import check_alert

_SEVERITY: Final = Meta(
    description=f"The default is that of the alert schema of this name, else {DEFAULT_SEVERITY}."
)


class RaiseAlertFields(msgspec.Struct, kw_only=True):
    """An alert of a run. If it is already raised, omitted fields stay as they are."""

    agent_instance_id: ClientId
    name: Name
    severity: Annotated[AlertSeverity, _SEVERITY] | None = None
    payload: JsonObject | None = None


class ClearAlertFields(msgspec.Struct, kw_only=True):
    """The run and the name of the alert to clear."""

    agent_instance_id: ClientId
    name: Name


async def _prepare_raise(call: Call, body: RaiseAlertFields) -> Prepared:
    if body.name in RESERVED_NAMES:
        reserved = ", ".join(RESERVED_NAMES)
        raise invalid("name", f"is reserved for the server, like {reserved}: use another name")
    limit = min(call.services.limits.max_payload_bytes, MAX_PAYLOAD_BYTES)
    payload = RequestPayload.of("payload", body.payload, limit)
    run = await call.services.span_preparer.run(
        call.principal, body.agent_instance_id, call.pending
    )
    facts = await _facts(call, body, payload, None if run is None else run.schema_version_id)
    command = RaiseAlert(
        request=call.request(),
        principal=call.principal,
        id=call.new_id_in_run(body.agent_instance_id),
        agent_instance_id=body.agent_instance_id,
        name=body.name,
        facts=facts,
        schema_version_id=None if run is None else run.schema_version_id,
    )
    return _prepared(call, command)


async def _facts(
    call: Call, body: RaiseAlertFields, payload: RequestPayload, schema_version_id: str | None
) -> AlertFacts:
    document = None if payload.value is None else payload.document
    if schema_version_id is None:
        # The run does not exist, which the command reports.
        return AlertFacts(body.name, body.severity, DEFAULT_SEVERITY, document, None, None)
    preparer, work = call.services.span_preparer, call.work
    types = await preparer.alert_types(call.principal, schema_version_id, call.pending)
    await preparer.compile_ahead(types, body.name, work)
    return check_alert(
        types,
        body.name,
        body.severity,
        payload=payload.value or {},
        document=document,
        budget=work.budget,
    )


async def _prepare_clear(call: Call, body: ClearAlertFields) -> Prepared:
    command = ClearAlert(call.request(), call.principal, body.agent_instance_id, body.name)
    return _prepared(call, command)


def _prepared(call: Call, command: Command) -> Prepared:
    def written(done: Done) -> AlertWritten:
        return alert_written(done, call.principal)

    return Prepared(command, written)


_WRITE: Final[dict[str, Any]] = {
    "method": "POST",
    "right": "operate",
    "reply": AlertWritten,
    "show": show,
}

OPERATIONS = (
    Write(
        **_WRITE,
        name="alerts.raise",
        path="/api/v1/alerts/raise",
        summary="Raise an alert of a run",
        description=(
            "Works in any status of the run. If an alert of this name is raised, it is updated, so "
            "a run has at most one raised alert of each name. The payload is checked against the "
            "alert schema of this name that the run's registration declared, and marked if it does "
            "not match. Title and summary come from the schema. The names "
            f"{', '.join(RESERVED_NAMES)} are reserved for the server."
        ),
        refusals=(NotFound, IdempotencyKeyUsed, TooLarge, ValidationFailed),
        body=RaiseAlertFields,
        prepare=_prepare_raise,
        examples=(
            Example(
                "A nearly exhausted budget",
                {
                    "agent_instance_id": "01jbadqvh4k0e7f9x2m8s5c3wq",
                    "name": "budget.low",
                    "severity": "warning",
                    "payload": {"left": 12},
                },
            ),
        ),
    ),
    Write(
        **_WRITE,
        name="alerts.clear",
        path="/api/v1/alerts/clear",
        summary="Clear an alert of a run",
        description=(
            "The alert is kept, with the time at which it was cleared. A deployment token clears "
            "alerts that were raised through the API. An alert that the server raised needs an "
            "account token, and is not raised again for the same cause."
        ),
        refusals=(NotFound, NotPermitted, IdempotencyKeyUsed, ValidationFailed),
        body=ClearAlertFields,
        prepare=_prepare_clear,
        examples=(
            Example(
                "The budget was increased",
                {"agent_instance_id": "01jbadqvh4k0e7f9x2m8s5c3wq", "name": "budget.low"},
            ),
        ),
    ),
)
