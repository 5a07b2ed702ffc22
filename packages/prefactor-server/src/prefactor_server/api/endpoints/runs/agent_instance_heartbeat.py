"""Heartbeats: an agent reports its open runs, and learns which of them were terminated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from prefactor_server.api.kernel.decode import read_body
from prefactor_server.api.kernel.fields import ClientId
from prefactor_server.api.kernel.operation import Call, Example, RawOperation
from prefactor_server.api.views.base import ControlView, Success
from prefactor_server.commands.runs.abandoned_run import MarkSeen
from prefactor_server.domain.errors import ValidationFailed

MAX_IDS: Final = 1000
_RULE: Final = f"must be 1 to {MAX_IDS} ids of runs"


class HeartbeatFields(msgspec.Struct, kw_only=True):
    """The open runs of an agent."""

    ids: Annotated[list[ClientId], Meta(min_length=1, max_length=MAX_IDS, description=_RULE)]


class HeartbeatView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a heartbeat.

    ``controls`` has the control signals of terminated runs, by run. ``unknown_ids`` are the runs
    that the caller cannot see, or that are not registered yet.
    """

    type: Literal["heartbeat"] = "heartbeat"
    controls: Mapping[str, ControlView]
    unknown_ids: list[str]


async def _heartbeat(call: Call, document: bytes) -> Success[HeartbeatView]:
    ids = tuple(dict.fromkeys(read_body(document, HeartbeatFields).ids))
    services, principal = call.services, call.principal
    runs = await services.reader.agent_instances.among(principal, ids)
    active = [run.id for run in runs.values() if run.status == "active"]
    services.heartbeats.add(principal.account_id, active, call.now)
    abandoned = [run.id for run in runs.values() if run.abandoned_at is not None]
    if abandoned:
        request = call.request()
        commands = [MarkSeen(request, run_id) for run_id in abandoned]
        await services.writer.submit(commands, len(document))
    controls = {
        run.id: ControlView(reason=run.termination_reason)
        for run in runs.values()
        if run.status == "terminated"
    }
    unknown = [run_id for run_id in ids if run_id not in runs]
    return Success(details=HeartbeatView(controls=controls, unknown_ids=unknown))


OPERATIONS: Final = (
    RawOperation(
        name="agent_instances.heartbeat",
        method="POST",
        path="/api/v1/agent_instance/heartbeat",
        right="operate",
        summary="Report open runs",
        description=(
            "An agent sends the ids of its open runs once a minute, and learns which of them were "
            "terminated. An active run that had a heartbeat and then neither heartbeats nor writes "
            "for abandoned_after_minutes is marked as abandoned, until its next heartbeat or "
            "write. A heartbeat takes no idempotency key, and a failed one need not be retried."
        ),
        reply=Success[HeartbeatView],
        refusals=(ValidationFailed,),
        body=HeartbeatFields,
        answer=_heartbeat,
        examples=(Example("Two runs", {"ids": ["run-1", "run-2"]}),),
    ),
)
