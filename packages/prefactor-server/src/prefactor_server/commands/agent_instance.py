"""The writes of existing runs: start, finish, terminate. See also `agent_instance_register`."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from prefactor_server.commands.agent_span import visible_instance
from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.commands.runs.run_quality import shown_quality
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.runs.agent_instance import AgentInstance, FinishStatus
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.storage.base import Changes, Needs, Snapshot


class StartInstance(NamedTuple):
    """Start a pending run, at the time that the client reported."""

    request: Request
    principal: Principal
    id: str
    at: int
    full_response: bool = True
    operation: str = "agent_instances.start"

    def needs(self, needs: Needs) -> None:
        """Add the run, and the quality and metadata that the response shows."""
        _needs(self, needs)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Make the run active."""
        run = visible_instance(snapshot, self.id, self.principal).start(self.at, self.request.now)
        return Decision(Changes(updated=(run,)), _done(self, snapshot, run))


class FinishInstance(NamedTuple):
    """End a run, at the time that the client reported."""

    request: Request
    principal: Principal
    id: str
    status: FinishStatus
    at: int
    full_response: bool = True
    operation: str = "agent_instances.finish"

    def needs(self, needs: Needs) -> None:
        """Add the run, and the quality and metadata that the response shows."""
        _needs(self, needs)

    def decide(self, snapshot: Snapshot) -> Decision:
        """End the run."""
        found = visible_instance(snapshot, self.id, self.principal)
        run = found.finish(self.status, self.at, self.request.now)
        return Decision(Changes(updated=(run,)), _done(self, snapshot, run))


class TerminateInstance(NamedTuple):
    """Stop a run from outside: its open spans close with it, and its agent receives the reason."""

    request: Request
    principal: Principal
    id: str
    reason: str
    full_response: bool = True
    operation: str = "agent_instances.terminate"

    def needs(self, needs: Needs) -> None:
        """Add the run, and the quality and metadata that the response shows."""
        _needs(self, needs)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Terminate the run, and record who did it."""
        found = visible_instance(snapshot, self.id, self.principal)
        run = found.terminate(self.reason, self.request.now)
        changes = Changes(
            updated=(run,),
            closed_runs=((run.id, self.request.now),),
            audit=(audit_entry(self.request, self.operation, run.id, self.reason),),
        )
        return Decision(changes, _done(self, snapshot, run))


_ChangesRun: TypeAlias = StartInstance | FinishInstance | TerminateInstance


def _needs(command: _ChangesRun, needs: Needs) -> None:
    needs.instances.add(command.id)
    if command.full_response:
        needs.rows |= {(InstanceQuality, command.id), (InstanceMetadata, command.id)}


def _done(command: _ChangesRun, snapshot: Snapshot, run: AgentInstance) -> Done:
    if not command.full_response:
        return Done(run.id, run)
    metadata = snapshot.get(InstanceMetadata, run.id)
    return Done(run.id, run, quality=shown_quality(snapshot, run.id), metadata=metadata)
