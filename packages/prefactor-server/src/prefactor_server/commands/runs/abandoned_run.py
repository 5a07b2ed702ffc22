"""The writes of runs whose agents fell silent, or sent a heartbeat again."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.base import Changes, Needs, Snapshot


class MarkSeen(NamedTuple):
    """Remove the abandoned mark from a run, because a heartbeat arrived."""

    request: Request
    id: str
    operation: str = "agent_instances.hear"

    def needs(self, needs: Needs) -> None:
        """Add the run."""
        needs.instances.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Return the run without its mark, if it still has it."""
        run = snapshot.get(AgentInstance, self.id)
        if run is None or run.abandoned_at is None:
            return _nothing(self.id)
        return _changed(run.mark_seen(self.request.now))


class MarkAbandoned(NamedTuple):
    """Mark an active run as abandoned, unless its agent wrote something since ``before``."""

    request: Request
    id: str
    before: int
    operation: str = "agent_instances.mark_abandoned"

    def needs(self, needs: Needs) -> None:
        """Add the run."""
        needs.instances.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Return the run with its mark, if it is still silent."""
        run = snapshot.get(AgentInstance, self.id)
        if run is None or run.status != "active" or run.abandoned_at is not None:
            return _nothing(self.id)
        if run.seen_at >= self.before:
            return _nothing(self.id)
        return _changed(run.abandon(self.request.now))


class EndAbandoned(NamedTuple):
    """End a run that was marked as abandoned before a time. The end is provisional."""

    request: Request
    id: str
    before: int
    operation: str = "agent_instances.end_abandoned"

    def needs(self, needs: Needs) -> None:
        """Add the run."""
        needs.instances.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Return the failed run with an audit entry, or no changes if its agent was active."""
        run = snapshot.get(AgentInstance, self.id)
        if run is None or run.status != "active" or run.is_silent_import:
            return _nothing(self.id)
        if run.abandoned_at is None or run.abandoned_at >= self.before:
            return _nothing(self.id)
        decision = _changed(run.end_by_abandonment(self.request.now))
        entry = audit_entry(self.request, self.operation, self.id)
        return replace(decision, changes=replace(decision.changes, audit=(entry,)))


def _changed(run: AgentInstance) -> Decision:
    return Decision(Changes(updated=(run,)), Done(run.id, run))


def _nothing(run_id: str) -> Decision:
    return Decision(Changes(), Done(run_id))
