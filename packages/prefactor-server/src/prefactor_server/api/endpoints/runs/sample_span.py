"""Sample spans, for trying out tools that show runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from prefactor_server.api.endpoints.runs.agent_span import CreateSpanFields, prepare_create
from prefactor_server.api.kernel.fields import ClientId, Timestamp
from prefactor_server.api.kernel.operation import Call, Example, Prepared, Write
from prefactor_server.api.views.agent_span import AgentSpanView, span_view
from prefactor_server.api.views.base import ControlView
from prefactor_server.commands.agent_span import CreateSpan, CreateTestSpans, control_of
from prefactor_server.domain.errors import IdempotencyKeyUsed, NotFound, ValidationFailed
from prefactor_server.domain.runs.sample_span import SampleSpan, sample_spans

MAX_SPANS: Final = 100

_COMMAND_BYTES: Final = 4096
"""Roughly what the command of a span takes, besides its payloads."""


class TestSpanFields(msgspec.Struct, kw_only=True):
    """The number of sample spans, their run, and their parent span."""

    agent_instance_id: ClientId
    count: Annotated[
        int, Meta(ge=1, le=MAX_SPANS, description=f"must be a whole number from 1 to {MAX_SPANS}")
    ] = 1
    parent_span_id: ClientId | None = None


class SpansWritten(msgspec.Struct, frozen=True, kw_only=True):
    """The sample spans. ``control`` is present only if their run was terminated."""

    status: Literal["success"] = "success"
    summaries: Sequence[AgentSpanView]
    control: ControlView | msgspec.UnsetType = msgspec.UNSET


async def _prepare(call: Call, body: TestSpanFields) -> Prepared:
    span_preparer = call.services.span_preparer
    run = await span_preparer.run(call.principal, body.agent_instance_id, call.pending)
    if run is None:
        raise NotFound(f"Agent instance {body.agent_instance_id!r} not found")
    declared = await span_preparer.declared_types(
        call.principal, run.schema_version_id, call.pending
    )
    samples = sample_spans(partial(_random_below, call), declared, body.count, call.now)
    commands: list[CreateSpan] = []
    for sample in samples:
        await call.work.pause()
        commands.append(await _command(call, body, sample))
    command = CreateTestSpans(
        request=call.request(),
        principal=call.principal,
        agent_instance_id=body.agent_instance_id,
        spans=tuple(commands),
    )
    return Prepared(command, held_bytes=sum(map(_held_bytes, commands)))


def _held_bytes(span: CreateSpan) -> int:
    return _COMMAND_BYTES + span.payload_size + span.result_size


def _random_below(call: Call, limit: int) -> int:
    return int.from_bytes(call.services.random_bytes(8), "big") % limit


async def _command(call: Call, body: TestSpanFields, sample: SampleSpan) -> CreateSpan:
    fields = CreateSpanFields(
        agent_instance_id=body.agent_instance_id,
        schema_name=sample.schema_name,
        status="complete",
        payload=sample.payload,
        result_payload=sample.result,
        parent_span_id=body.parent_span_id,
        started_at=Timestamp(sample.started_at),
        finished_at=Timestamp(sample.finished_at),
    )
    command = (await prepare_create(call, fields)).command
    if not isinstance(command, CreateSpan):
        raise TypeError(command)
    return command


async def _show(call: Call, ids: str) -> SpansWritten:
    """Return the spans with these ids, in the order of their creation."""
    reader = call.services.reader
    records = await reader.agent_spans.existing(call.principal, ids.split())
    if not records:
        raise NotFound("The spans have been deleted")
    run = await reader.agent_instances.show(call.principal, records[0].span.agent_instance_id)
    views = {
        one.span.id: span_view(one.span, one.payload, one.result, run.purpose, call.principal)
        for one in records
    }
    signal = control_of(run)
    return SpansWritten(
        summaries=[views[one] for one in ids.split() if one in views],
        control=msgspec.UNSET if signal is None else ControlView(reason=signal.reason),
    )


OPERATIONS = (
    Write(
        name="agent_spans.create_test_spans",
        method="POST",
        path="/api/v1/agent_spans/create_test_spans",
        right="operate",
        summary="Create sample spans",
        description=(
            f"Creates 1 to {MAX_SPANS} complete spans of random types that the run declared, with "
            "random payloads, for trying out tools that show runs."
        ),
        reply=SpansWritten,
        refusals=(NotFound, IdempotencyKeyUsed, ValidationFailed),
        body=TestSpanFields,
        prepare=_prepare,
        show=_show,
        examples=(Example("Five", {"agent_instance_id": "run-1", "count": 5}),),
    ),
)
