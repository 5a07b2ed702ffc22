"""The write of events that arrive as log records: added to their spans, or kept until then."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.agent_span import SpanFacts
from prefactor_server.commands.base import Decision, Done, Request, Stale
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan, SpanPayload
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.storage.base import Changes, Needs, Snapshot


class AmendedSpan(NamedTuple):
    """A stored span, as it was read, with its payloads after the events were added."""

    seen: AgentSpan
    payload_size: int
    result_size: int
    payloads: tuple[SpanPayload, ...]
    facts: SpanFacts

    def row(self, now: int) -> AgentSpan:
        """Return the span with the events applied."""
        facts = self.facts
        return self.seen._replace(
            payload_size=self.payload_size,
            result_size=self.result_size,
            payload_problem=facts.payload_problem,
            result_problem=facts.result_problem,
            summary=facts.summary,
            updated_at=now,
        )


class RecordEvents(NamedTuple):
    """Add events to stored spans, and store those whose spans have not arrived.

    ``run_id`` is empty if the trace has no run yet.
    """

    request: Request
    key: str
    seen: OtlpTrace | None
    run_id: str
    amended: tuple[AmendedSpan, ...]
    document: bytes
    operation: str = "otlp.logs"

    def needs(self, needs: Needs) -> None:
        """Add the row of the trace, and the spans."""
        needs.rows.add((OtlpTrace, self.key))
        for span in self.amended:
            needs.spans.add(span.seen.id)

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """Store the spans with their events, unless they have changed since they were read."""
        if snapshot.get(OtlpTrace, self.key) != self.seen:
            return Stale()
        now = self.request.now
        for span in self.amended:
            if snapshot.get(AgentSpan, span.seen.id) != span.seen:
                return Stale()
        after = self.row_after()
        spans = [span.row(now) for span in self.amended]
        # The runs are updated with their spans, so that concurrent writers conflict.
        runs = {span.seen.agent_instance_id for span in self.amended}
        touched = [
            run._replace(updated_at=now)
            for run_id in sorted(runs)
            if (run := snapshot.get(AgentInstance, run_id)) is not None
        ]
        changes = Changes(
            inserted=[after] if self.seen is None else [],
            updated=[*spans, *touched, *([] if self.seen is None else [after])],
            payloads=[payload for span in self.amended for payload in span.payloads],
        )
        return Decision(changes, Done(self.run_id or self.key))

    def row_after(self) -> OtlpTrace:
        """Return the row of the trace with this command applied."""
        now, seen = self.request.now, self.seen
        if seen is not None:
            return seen._replace(document=self.document, updated_at=now)
        return OtlpTrace(
            id=self.key,
            account_id=self.request.account_id,
            agent_instance_id=self.run_id,
            inserted_at=now,
            is_open=False,
            last_end=0,
            document=self.document,
            updated_at=now,
        )
