"""The writes of spans: create, finish, and discard what is sensitive.

A span is accepted in any status of its run. Published clients queue their requests, so spans arrive
before their run's start and after its end. The agent of a terminated run learns of the termination
from the response to a span.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from prefactor_server.commands.base import (
    Control,
    Decision,
    Done,
    Request,
    Stale,
    audit_entry,
)
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import (
    CLOSED_BY_TERMINATION,
    FINISHED_BEFORE_STARTED,
    FINISHED_LATE,
    SENSITIVE_DISCARDED,
    UNREGISTERED_TYPE,
    AgentSpan,
    SpanPayload,
    SpanStatus,
    time_flags,
)
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.domain.runs.usage import Usage
from prefactor_server.storage.base import Changes, Needs, Snapshot


class SpanFacts(msgspec.Struct, frozen=True, gc=False):
    """Facts about a span's payloads from before the write: checks, summary and usage."""

    schema_title: str | None
    registered: bool
    payload_problem: str | None
    result_problem: str | None
    summary: str | None
    usage: Usage


class CreateSpan(msgspec.Struct, frozen=True, gc=False):
    """Create a span. ``facts`` were derived with ``schema_version_id``."""

    request: Request
    principal: Principal
    id: str
    agent_instance_id: str
    parent_span_id: str | None
    schema_name: str
    status: SpanStatus
    started_at: int | None
    finished_at: int | None
    flags: int
    payload_size: int
    result_size: int
    payloads: tuple[SpanPayload, ...]
    schema_version_id: str | None
    facts: SpanFacts
    operation: str = "agent_spans.create"

    def needs(self, needs: Needs) -> None:
        """Add the run, and an existing span with the same id."""
        needs.instances.add(self.agent_instance_id)
        needs.spans.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """Create the span, and count it on its run."""
        run = visible_instance(snapshot, self.agent_instance_id, self.principal)
        if run.agent_schema_version_id != self.schema_version_id:
            return Stale()
        existing = snapshot.get(AgentSpan, self.id)
        if existing is not None:
            if not self.principal.can_see(existing.agent_id, existing.environment_id):
                raise NotFound(f"Span {self.id!r} not found")
            raise run.refusal(f"A span with the id {self.id!r} already exists")
        span = self.new_span(run)
        changes = Changes(
            inserted=(span,),
            updated=(run.count_span(span.status, self.request.now),),
            payloads=self.payloads,
        )
        return Decision(changes, Done(span.id, span, control_of(run)))

    def new_span(self, run: AgentInstance) -> AgentSpan:
        """Return the new span of a run."""
        facts, usage = self.facts, self.facts.usage
        unregistered = 0 if facts.registered else UNREGISTERED_TYPE
        now = self.request.now
        # Runs for every span. Positional arguments cost a third of keyword arguments.
        return AgentSpan(
            self.id,
            run.account_id,
            run.agent_id,
            run.environment_id,
            run.id,
            self.parent_span_id,
            self.schema_name,
            facts.schema_title,
            now,
            self.payload_size,
            facts.payload_problem,
            self.status,
            self.started_at,
            self.finished_at,
            facts.summary,
            self.flags | unregistered | time_flags(self.started_at, self.finished_at),
            self.result_size,
            facts.result_problem,
            *usage,
            now,
        )


class CreateTestSpans(NamedTuple):
    """Create sample spans of one run at once."""

    request: Request
    principal: Principal
    agent_instance_id: str
    spans: tuple[CreateSpan, ...]
    operation: str = "agent_spans.create_test_spans"

    def needs(self, needs: Needs) -> None:
        """Add what each of the spans needs."""
        for span in self.spans:
            span.needs(needs)

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """Create the spans, and count them on their run. The result's id joins theirs."""
        run = visible_instance(snapshot, self.agent_instance_id, self.principal)
        changes = Changes()
        for span in self.spans:
            decision = span.decide(snapshot)
            if isinstance(decision, Stale):
                return decision
            new = decision.changes
            run = run.count_span(span.status, self.request.now)
            changes = Changes(
                inserted=(*changes.inserted, *new.inserted),
                updated=(run,),
                payloads=(*changes.payloads, *new.payloads),
            )
        ids = " ".join(span.id for span in self.spans)
        return Decision(changes, Done(ids, run, control_of(run)))


class FinishSpan(msgspec.Struct, frozen=True, gc=False):
    """Finish a span. ``facts`` is None when the span could not be read before the write."""

    request: Request
    principal: Principal
    id: str
    status: SpanStatus
    finished_at: int
    flags: int
    result_size: int
    payloads: tuple[SpanPayload, ...]
    facts: SpanFacts | None
    operation: str = "agent_spans.finish"

    def needs(self, needs: Needs) -> None:
        """Add the span. The backend loads its run with it."""
        needs.spans.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """End the span, and update the counts of its run."""
        span = snapshot.get(AgentSpan, self.id)
        if span is None or not self.principal.can_see(span.agent_id, span.environment_id):
            raise NotFound(f"Span {self.id!r} not found")
        run = snapshot.get(AgentInstance, span.agent_instance_id)
        if run is None or self.facts is None:
            return Stale()
        try:
            span.check_can_finish(self.status)
        except InvalidAction as refusal:
            raise run.refusal(refusal.message) from None
        finished = self._finished(span, self.facts)
        changes = Changes(
            updated=(
                finished,
                run.recount_span(span.status, finished.status, self.request.now),
            ),
            payloads=self.payloads,
        )
        return Decision(changes, Done(span.id, finished, control_of(run)))

    def _finished(self, span: AgentSpan, facts: SpanFacts) -> AgentSpan:
        started_at = self.finished_at if span.started_at is None else span.started_at
        flags = span.flags & ~(CLOSED_BY_TERMINATION | FINISHED_BEFORE_STARTED)
        if span.flags & CLOSED_BY_TERMINATION:
            flags |= FINISHED_LATE
        return span._replace(
            status=self.status,
            started_at=started_at,
            finished_at=self.finished_at,
            summary=facts.summary,
            flags=flags | self.flags | time_flags(started_at, self.finished_at),
            result_size=self.result_size,
            result_problem=facts.result_problem,
            prompt_tokens=facts.usage.prompt_tokens,
            completion_tokens=facts.usage.completion_tokens,
            total_tokens=facts.usage.total_tokens,
            model=facts.usage.model,
            tool_name=facts.usage.tool_name,
            updated_at=self.request.now,
        )


class DiscardSensitive(NamedTuple):
    """Replace the sensitive values of a span irreversibly.

    ``payloads`` were derived from the span as in ``seen``, which is None if the span could not be
    read before the write. ``payloads`` is empty if the span has no sensitive values.
    """

    request: Request
    principal: Principal
    id: str
    seen: AgentSpan | None
    payload_size: int
    result_size: int
    payloads: tuple[SpanPayload, ...]
    operation: str = "agent_spans.discard_sensitive"

    def needs(self, needs: Needs) -> None:
        """Add the span, and any legal hold on its run. The backend loads the run with the span."""
        needs.spans.add(self.id)
        if self.seen is not None:
            needs.holds.add(self.seen.agent_instance_id)

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """Remove the span's sensitive values, and record who did it."""
        span = snapshot.get(AgentSpan, self.id)
        if span is None or not self.principal.can_see(span.agent_id, span.environment_id):
            raise NotFound(f"Span {self.id!r} not found")
        run = snapshot.get(AgentInstance, span.agent_instance_id)
        if run is None or span != self.seen:
            return Stale()
        if snapshot.get(LegalHold, run.id) is not None:
            raise InvalidAction(
                f"Agent instance {run.id!r} is under a legal hold: its values cannot be discarded "
                "until an operator removes the hold"
            )
        if not self.payloads:
            return Decision(Changes(), Done(span.id, span, control_of(run)))
        discarded = span._replace(
            payload_size=self.payload_size,
            result_size=self.result_size,
            flags=span.flags | SENSITIVE_DISCARDED,
            updated_at=self.request.now,
        )
        changes = Changes(
            updated=(discarded,),
            payloads=self.payloads,
            audit=(audit_entry(self.request, self.operation, span.id, run.id),),
        )
        return Decision(changes, Done(span.id, discarded, control_of(run)))


def visible_instance(snapshot: Snapshot, instance_id: str, principal: Principal) -> AgentInstance:
    """Return the run with this id.

    Raises:
        NotFound: no such run, or the caller may not see it.
    """
    run = snapshot.get(AgentInstance, instance_id)
    if run is None or not principal.can_see(run.agent_id, run.environment_id):
        raise NotFound(f"Agent instance {instance_id!r} not found")
    return run


def control_of(run: AgentInstance) -> Control | None:
    """Return the signal for the agent if the run was terminated, or None."""
    return Control(run.termination_reason) if run.status == "terminated" else None
