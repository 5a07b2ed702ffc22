"""Stores received spans: many traces per commit, each span once, whatever happens to others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from prefactor_server.api.endpoints.otlp.preparation import TraceBatch, prepare
from prefactor_server.api.endpoints.runs.agent_instance_register import remember_binding
from prefactor_server.api.kernel.operation import Call
from prefactor_server.api.views.base import written_row
from prefactor_server.commands.base import Done, Refused, Stale
from prefactor_server.commands.otlp_trace import RecordTrace
from prefactor_server.domain.errors import Contended, Overloaded, Refusal, Unavailable
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.otlp.memory import KnownTrace
from prefactor_server.otlp.received import ReceivedSpan, Rejected, Resource

_MAX_SPANS: Final = 1000
"""How many spans are stored in one commit."""
_MAX_ATTEMPTS: Final = 5
_MAX_REASONS: Final = 5


@dataclass(slots=True)
class Outcome:
    """The outcome of the spans or records of a request."""

    rejected: int = 0
    reasons: list[str] = field(default_factory=list[str])

    def reject(self, reason: str, count: int = 1) -> None:
        """Count rejected spans or records, and keep the first reasons."""
        self.rejected += count
        if len(self.reasons) < _MAX_REASONS and reason not in self.reasons:
            self.reasons.append(reason)

    @property
    def message(self) -> str:
        """The reasons, joined into one text."""
        return "; ".join(self.reasons)


async def record(
    call: Call, spans: Iterable[tuple[Resource, ReceivedSpan] | Rejected], size: int
) -> Outcome:
    """Store spans, and return the number of rejected ones with the reasons.

    Args:
        call: the request.
        spans: the spans with their resources, decoded lazily.
        size: the size of the request in bytes.

    Raises:
        BadRequest: the request is malformed.
        Overloaded: the write queue is full.
        Unavailable: nothing can be stored now. The whole request may be sent again.
    """
    outcome = Outcome()
    batches: dict[tuple[str, str], list[TraceBatch]] = {}
    total = 0
    for one in spans:
        if call.work.is_due():
            await call.work.pause()
        if isinstance(one, Rejected):
            outcome.reject(one.reason)
            continue
        resource, span = one
        _add(call, batches, resource, span)
        total += 1
    call.services.otlp.spans["rejected"] += outcome.rejected
    pending = deque(batch for parts in batches.values() for batch in parts)
    while pending:
        part = _next(pending)
        share = size * sum(len(batch.spans) for batch in part) // max(total, 1)
        pending.extendleft(reversed(await _store(call, part, share, outcome)))
    return outcome


def _add(
    call: Call,
    batches: dict[tuple[str, str], list[TraceBatch]],
    resource: Resource,
    span: ReceivedSpan,
) -> None:
    agent_ref = call.principal.agent_id or resource.service
    parts = batches.setdefault((agent_ref, span.trace_id), [])
    if not parts or len(parts[-1].spans) >= _MAX_SPANS:
        parts.append(TraceBatch(resource, agent_ref, span.trace_id))
    parts[-1].spans.append(span)


def _next(pending: deque[TraceBatch]) -> list[TraceBatch]:
    """Take batches of different traces, up to the number of spans in one commit."""
    part: list[TraceBatch] = []
    keys: set[tuple[str, str]] = set()
    size = 0
    while pending:
        batch = pending[0]
        key = (batch.agent_ref, batch.trace_id)
        size += len(batch.spans)
        if key in keys or (part and size > _MAX_SPANS):
            break
        keys.add(key)
        part.append(pending.popleft())
    return part


async def _store(
    call: Call, part: Sequence[TraceBatch], size: int, outcome: Outcome
) -> list[TraceBatch]:
    """Store batches in one commit, and return those to retry."""
    prepared = [
        (batch, command)
        for batch in part
        if (command := await _prepared(call, batch, outcome)) is not None
    ]
    if not prepared:
        return []
    outcomes = await call.services.writer.submit([command for _, command in prepared], size)
    again = [batch for batch, _ in prepared[len(outcomes) :]]
    for (batch, command), done in zip(prepared, outcomes, strict=False):
        if isinstance(done, Stale):
            await _repair(call, batch, command, size)
            again.insert(0, batch)
        elif isinstance(done, Refused):
            _reject(call, batch, done.refusal, outcome)
        else:
            _stored(call, batch, command, done)
    return again


async def _prepared(call: Call, batch: TraceBatch, outcome: Outcome) -> RecordTrace | None:
    try:
        return await prepare(call, batch)
    except (Overloaded, Unavailable):
        raise
    except Refusal as refusal:
        _reject(call, batch, refusal, outcome)
        return None


async def _repair(call: Call, batch: TraceBatch, command: RecordTrace, size: int) -> None:
    """Refresh the cached data that a stale batch was prepared from.

    A missing run is registered first, because the spans are checked against the schema version
    that it is bound to.
    """
    batch.attempts += 1
    if batch.attempts == _MAX_ATTEMPTS:
        raise Contended("Concurrent requests keep changing the same traces: send the spans again")
    principal = call.principal
    run = await call.services.reader.otlp_traces.run(principal, batch.agent_ref, batch.trace_id)
    if run is not None:
        return
    (done,) = await call.services.writer.submit([command.register], size)
    if isinstance(done, Done) and isinstance(done.row, AgentInstance):
        remember_binding(call, command.register, done.row)


def _stored(call: Call, batch: TraceBatch, command: RecordTrace, done: Done) -> None:
    memory, ref = call.services.otlp, batch.ref(call)
    row = written_row(done, AgentInstance)
    remember_binding(call, command.register, row)
    memory.remember(ref, KnownTrace(row.id, command.row_after(row)))
    memory.forget_early(ref)
    memory.spans["kept"] += len(command.spans)


def _reject(call: Call, batch: TraceBatch, refusal: Refusal, outcome: Outcome) -> None:
    first = batch.spans[0]
    outcome.reject(f"span {first.span_id} ({first.name[:60]}): {refusal.message}", len(batch.spans))
    call.services.otlp.spans["rejected"] += len(batch.spans)
