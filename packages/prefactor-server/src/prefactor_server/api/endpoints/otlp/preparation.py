"""Prepares received spans: turns the spans of a trace into the command that stores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from prefactor_server.api.endpoints.runs.agent_instance_register import (
    assume_binding,
    may_create_agent,
)
from prefactor_server.api.kernel.operation import Call
from prefactor_server.api.kernel.schema_declaration import (
    SchemaVersionFields,
    SpanTypeFields,
    declare,
    empty_schema,
)
from prefactor_server.api.kernel.span_payload import RequestPayload
from prefactor_server.api.kernel.span_preparation import PendingWrites, RunFacts, span_facts
from prefactor_server.commands.agent_instance_register import (
    NewIds,
    RegisterInstance,
    VersionMetadata,
)
from prefactor_server.commands.agent_span import CreateSpan
from prefactor_server.commands.environment import CreateEnvironment
from prefactor_server.commands.otlp_trace import RecordTrace, RootEnd
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.runs.agent_span import PARAMS, RESULT
from prefactor_server.domain.runs.otlp_trace import (
    OtlpTrace,
    environment_id,
    run_id,
    span_id,
    trace_key,
)
from prefactor_server.otlp.events import events_by_span, with_remembered
from prefactor_server.otlp.mapping import DECLARED_TYPES, is_about_agents, mapped, status
from prefactor_server.otlp.memory import KnownTrace, TraceRef
from prefactor_server.otlp.received import ReceivedSpan, Resource
from prefactor_server.otlp.trace_state import (
    Sorted,
    TraceState,
    parents_to_look_up,
    read_state,
    sort_spans,
    write_state,
)

_SEVERITY: Final = ("complete", "cancelled", "failed")
_TYPES: Final = SchemaVersionFields(
    span_type_schemas=[SpanTypeFields(**declared) for declared in DECLARED_TYPES]
)


@dataclass(slots=True)
class TraceBatch:
    """The spans of one trace and agent in one request.

    ``attempts`` counts earlier attempts that were stale. ``has_run`` means that the run exists.
    """

    resource: Resource
    agent_ref: str
    trace_id: str
    spans: list[ReceivedSpan] = field(default_factory=list[ReceivedSpan])
    attempts: int = 0
    has_run: bool = False

    @property
    def key(self) -> str:
        """The id of the row of the trace."""
        return trace_key(self.agent_ref, self.trace_id)

    def ref(self, call: Call) -> TraceRef:
        """Return the key of the trace in the cache."""
        return call.principal.account_id, self.key


async def prepare(call: Call, batch: TraceBatch) -> RecordTrace | None:
    """Return the command that stores a batch, or None if there is nothing to store.

    Raises:
        Refusal: none of its spans can be stored. The message says why.
    """
    memory, ref = call.services.otlp, batch.ref(call)
    keep_all = call.services.limits.otlp_keep_all
    spans = [*memory.early(ref), *batch.spans]
    about_agents = keep_all or any(map(is_about_agents, spans))
    known = await _known(call, batch, spans, about_agents=about_agents)
    if not about_agents and (known is None or not known.run_id):
        memory.add_early(ref, batch.spans)
        memory.spans["noise"] += len(batch.spans)
        return None
    seen = None if known is None else known.row
    batch.has_run = known is not None and known.run_id != ""
    state = TraceState() if seen is None else read_state(seen.document)
    run = known.run_id if known and known.run_id else _new_run_id(call, batch, spans)
    sorted_spans = await _sorted(call, run, state, spans, keep_all=keep_all)
    return await _command(call, batch, await _register(call, batch, run), seen, sorted_spans)


async def _command(
    call: Call,
    batch: TraceBatch,
    register: RegisterInstance,
    seen: OtlpTrace | None,
    sorted_spans: Sorted,
) -> RecordTrace:
    kept, spans = sorted_spans.kept, [*call.services.otlp.early(batch.ref(call)), *batch.spans]
    roots = [span for span in spans if span.is_root]
    facts = await _facts(call, batch, register)
    call.services.otlp.spans["noise"] += sorted_spans.left_out
    metadata: dict[str, str] = {}
    for span in spans:
        for name, text in span.metadata().items():
            metadata[name] = min(text, metadata.get(name, text))
    remembered = events_by_span(sorted_spans.state)
    return RecordTrace(
        request=call.request(),
        register=register,
        key=batch.key,
        seen=seen,
        schema_version_id=facts.schema_version_id,
        spans=tuple(
            [
                await _create(
                    call,
                    register.id,
                    with_remembered(remembered, span),
                    facts.schema_version_id,
                )
                for span in kept
            ]
        ),
        start=min((span.start for span in (*kept, *roots)), default=None),
        last_end=max(span.end for span in spans),
        root=_root_end(roots),
        metadata=metadata,
        document=write_state(sorted_spans.state),
    )


async def _facts(call: Call, batch: TraceBatch, register: RegisterInstance) -> RunFacts:
    """Return the facts about the run, or those that its registration will establish."""
    pending = call.pending = PendingWrites(reread=batch.attempts > 0)
    facts = None
    if batch.has_run:
        facts = await call.services.span_preparer.run(call.principal, register.id, pending)
    if facts is None:
        assume_binding(call, register)
        facts = pending.runs[register.id]
    return facts


async def _known(
    call: Call, batch: TraceBatch, spans: Sequence[ReceivedSpan], *, about_agents: bool
) -> KnownTrace | None:
    """Return the run of the trace, or None.

    A trace that this process does not know is assumed to be new if any of its spans is about
    agents. If it is not new, the command detects that, and is prepared again from storage.
    """
    if not batch.attempts:
        known = call.services.otlp.known(batch.ref(call))
        if known is not None or about_agents:
            return known
    reader, principal = call.services.reader, call.principal
    row = await reader.otlp_traces.find(principal, batch.key)
    if row is None and not about_agents and not any(span.is_root for span in spans):
        return None
    # Not the run that the row names, because retention may have deleted that one.
    run = await reader.otlp_traces.run(principal, batch.agent_ref, batch.trace_id)
    if row is None and run is None:
        return None
    return KnownTrace("" if run is None else run.id, row)


def _new_run_id(call: Call, batch: TraceBatch, spans: Sequence[ReceivedSpan]) -> str:
    principal = call.principal
    return run_id(
        principal.account_id,
        batch.agent_ref,
        batch.trace_id,
        min(span.start for span in spans),
    )


async def _sorted(
    call: Call,
    run: str,
    state: TraceState,
    spans: Sequence[ReceivedSpan],
    *,
    keep_all: bool,
) -> Sorted:
    stored: set[str] = set()
    parents = set[str]() if keep_all else parents_to_look_up(state, spans)
    if parents:
        trace_id = spans[0].trace_id
        ids = {span_id(run, call.principal.partition, trace_id, one): one for one in parents}
        found = call.services.reader.agent_spans.each(call.principal, ids)
        stored = {ids[record.span.id] async for record in found}
    return sort_spans(state, spans, stored.__contains__, keep_all=keep_all)


async def _register(call: Call, batch: TraceBatch, run: str) -> RegisterInstance:
    principal, resource = call.principal, batch.resource
    schema = await declare(principal.account_id, _TYPES, call.work)
    version = resource.version
    return RegisterInstance(
        request=call.request(),
        principal=principal,
        id=run,
        agent_ref=batch.agent_ref,
        environment_id=await _environment_id(call, resource.environment, reread=batch.attempts > 0),
        metadata=None if version is None else VersionMetadata(external_identifier=version),
        schema=schema,
        empty_schema=empty_schema(principal.account_id),
        update_current_version=True,
        purpose="live",
        external_identifier=batch.trace_id,
        new_ids=NewIds(call.new_id(), call.new_id(), call.new_id(), call.new_id()),
        create_agent=may_create_agent(call),
    )


async def _environment_id(call: Call, name: str | None, *, reread: bool) -> str | None:
    """Return the id of the environment that a resource names, or None for the default one."""
    principal = call.principal
    if principal.environment_id is not None or name is None:
        return principal.environment_id
    known = call.services.otlp.environments
    found = None if reread else known.get((principal.account_id, name))
    if found is None:
        environment = await call.services.reader.otlp_traces.environment(principal, name)
        found = environment.id if environment else await _new_environment(call, name)
        known.put((principal.account_id, name), 1, found)
    return found


async def _new_environment(call: Call, name: str) -> str:
    if not may_create_agent(call):
        raise NotFound(
            f"Environment {name!r} not found: create it, or omit deployment.environment.name to "
            "use the default one"
        )
    own = environment_id(call.principal.account_id, call.principal.partition, name)
    # Refused if another request has just created it, with the same id.
    await call.services.writer.submit([CreateEnvironment(call.request(), own, name)], 0)
    return own


async def _create(call: Call, run: str, span: ReceivedSpan, schema_version_id: str) -> CreateSpan:
    if call.work.is_due():
        await call.work.pause()
    principal = call.principal
    one = mapped(span, call.services.limits.max_payload_bytes)
    checker = call.pending.checkers.get((schema_version_id, one.schema_name))
    if checker is None:
        checker = await call.services.span_preparer.checker(
            principal, schema_version_id, one.schema_name, call.pending, call.work
        )
    own = span_id(run, principal.partition, span.trace_id, span.span_id)
    parent = span.parent_id
    payload = RequestPayload(one.payload, one.payload_json)
    result = RequestPayload(one.result, one.result_json)
    return CreateSpan(
        request=call.request(),
        principal=principal,
        id=own,
        agent_instance_id=run,
        parent_span_id=(
            None if parent is None else span_id(run, principal.partition, span.trace_id, parent)
        ),
        schema_name=one.schema_name,
        status=one.status,
        started_at=span.start,
        finished_at=span.end,
        flags=0,
        payload_size=payload.size,
        result_size=result.size,
        payloads=(
            *payload.stored(principal.account_id, own, PARAMS),
            *result.stored(principal.account_id, own, RESULT),
        ),
        schema_version_id=None,
        facts=span_facts(
            checker,
            one.schema_name,
            one.payload,
            one.result,
            complete=one.status == "complete",
            budget=call.work.budget,
        ),
    )


def _root_end(roots: Sequence[ReceivedSpan]) -> RootEnd | None:
    if not roots:
        return None
    return RootEnd(max(map(status, roots), key=_SEVERITY.index), max(span.end for span in roots))
