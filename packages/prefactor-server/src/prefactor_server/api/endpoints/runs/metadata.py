"""Metadata: changes keys of a run's metadata after its registration."""

from __future__ import annotations

import msgspec

from prefactor_server.api.endpoints.runs.agent_instance import show, written_by
from prefactor_server.api.kernel.fields import MetadataChanges
from prefactor_server.api.kernel.operation import Call, Example, Prepared, Write
from prefactor_server.api.views.agent_instance import InstanceWritten
from prefactor_server.commands.metadata import SetMetadata
from prefactor_server.domain.errors import IdempotencyKeyUsed, NotFound, ValidationFailed
from prefactor_server.domain.runs.metadata import MAX_KEY_LENGTH, MAX_KEYS, MAX_VALUE_LENGTH


class MetadataFields(msgspec.Struct, kw_only=True):
    """The keys to set, or to remove if null. Other keys stay as they are."""

    metadata: MetadataChanges


async def _prepare(call: Call, body: MetadataFields) -> Prepared:
    command = SetMetadata(
        request=call.request(),
        principal=call.principal,
        id=call.path_id,
        changes=body.metadata,
        full_response=not call.is_item,
    )
    return Prepared(command, written_by(call))


OPERATIONS = (
    Write(
        name="agent_instances.set_metadata",
        method="PUT",
        path="/api/v1/agent_instance/{agent_instance_id}/metadata",
        right="operate",
        summary="Set metadata of a run",
        description=(
            "Sets the keys in the request and leaves the others unchanged. A null value removes "
            f"its key. A run has at most {MAX_KEYS} keys of {MAX_KEY_LENGTH} characters, with "
            f"values of {MAX_VALUE_LENGTH} characters. Works in any status of the run."
        ),
        reply=InstanceWritten,
        refusals=(NotFound, IdempotencyKeyUsed, ValidationFailed),
        body=MetadataFields,
        prepare=_prepare,
        show=show,
        examples=(Example("A user", {"metadata": {"user": "u-81", "experiment": None}}),),
    ),
)
