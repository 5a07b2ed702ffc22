"""The writes of agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from prefactor_server.commands.alert_review import need_review, request_review
from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.agent import Agent, by_external_identifier
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.errors import InvalidAction, NotFound, invalid
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.base import AgentRecord, Changes, Needs, Snapshot

# The server's own alerts depend on these fields.
_REVIEWED: Final = frozenset({"risk_profile_id", "run_cost_limit"})


class CreateAgent(NamedTuple):
    """Create an agent."""

    request: Request
    id: str
    name: str
    description: str | None
    external_identifier: str | None
    owner_person_id: str | None
    risk_profile_id: str | None
    team_id: str | None
    run_cost_limit: int | None = None
    operation: str = "agents.create"

    def needs(self, needs: Needs) -> None:
        """Add the agents with the same id or external identifier, and the risk profile."""
        _need_profile(needs, self.risk_profile_id)
        needs.agents.add(self.id)
        if self.external_identifier is not None:
            needs.agents.add(self.external_identifier)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Create the agent."""
        if find_agent(snapshot, self.id) is not None:
            raise InvalidAction(
                f"An agent with the id or external identifier {self.id!r} already exists"
            )
        external = self.external_identifier
        if external is not None and find_agent(snapshot, external) is not None:
            raise invalid("external_identifier", f"{external!r} belongs to another agent")
        _check_profile(snapshot, self.risk_profile_id)
        agent = Agent(
            id=self.id,
            account_id=self.request.account_id,
            name=self.name,
            description=self.description,
            external_identifier=external,
            owner_person_id=self.owner_person_id,
            risk_profile_id=self.risk_profile_id,
            team_id=self.team_id,
            retired_at=None,
            inserted_at=self.request.now,
            updated_at=self.request.now,
            run_cost_limit=self.run_cost_limit,
        )
        entry = audit_entry(self.request, self.operation, agent.id, agent.name)
        return Decision(Changes(inserted=(agent,), audit=(entry,)), Done(agent.id, agent))


class Pin(NamedTuple):
    """The version to make current in an environment, or None for no version."""

    environment_id: str
    version_id: str | None


class UpdateAgent(NamedTuple):
    """Change some fields of an agent, and with a ``pin`` a deployment's current version.

    ``ref`` is the id or the external identifier that the request names, and ``id`` the agent's id.
    """

    request: Request
    ref: str
    id: str
    fields: Mapping[str, Any]
    pin: Pin | None = None
    operation: str = "agents.update"

    def needs(self, needs: Needs) -> None:
        """Add the agent, what its status depends on, its new profile, and its review."""
        _need(needs, self.ref, self.id)
        if not _REVIEWED.isdisjoint(self.fields):
            need_review(needs, "agent", self.id)
        _need_profile(needs, self.fields.get("risk_profile_id"))
        if self.pin is not None and self.pin.version_id is not None:
            needs.rows.add((AgentVersion, self.pin.version_id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Change the agent, and its deployment if there is a pin."""
        agent = require_agent(snapshot, self.ref)
        profile_id = self.fields.get("risk_profile_id")
        # Sending back an agent as it was read must not fail because its profile was deleted.
        if profile_id != agent.risk_profile_id:
            _check_profile(snapshot, profile_id)
        changed = agent._replace(**self.fields, updated_at=self.request.now)
        pinned = self._pinned(snapshot, agent)
        decision = _changed(snapshot, changed, self.request, self.operation)
        changes = replace(decision.changes, updated=(*decision.changes.updated, *pinned))
        if any(getattr(changed, name) != getattr(agent, name) for name in _REVIEWED):
            changes = request_review(
                changes,
                snapshot,
                agent.account_id,
                kind="agent",
                subject_id=agent.id,
                now=self.request.now,
            )
        return replace(decision, changes=changes)

    def _pinned(self, snapshot: Snapshot, agent: Agent) -> tuple[AgentDeployment, ...]:
        if self.pin is None:
            return ()
        environment_id, version_id = self.pin
        deployment = snapshot.get(AgentDeployment, agent.id, environment_id)
        if deployment is None and version_id is None:
            return ()
        if deployment is None:
            raise invalid(
                "current_version_id",
                "needs a deployment of the agent in the default environment: create one first",
            )
        check_version(snapshot, agent.id, version_id)
        now = self.request.now
        return (deployment._replace(current_version_id=version_id, updated_at=now),)


class RetireAgent(NamedTuple):
    """Take an agent out of service."""

    request: Request
    ref: str
    id: str
    operation: str = "agents.retire"

    def needs(self, needs: Needs) -> None:
        """Add the agent, and what its status depends on."""
        _need(needs, self.ref, self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Retire the agent."""
        agent = require_agent(snapshot, self.ref).retire(self.request.now)
        return _changed(snapshot, agent, self.request, self.operation)


class ReinstateAgent(NamedTuple):
    """Take a retired agent back into service."""

    request: Request
    ref: str
    id: str
    operation: str = "agents.reinstate"

    def needs(self, needs: Needs) -> None:
        """Add the agent, and what its status depends on."""
        _need(needs, self.ref, self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Put the agent back into service."""
        agent = require_agent(snapshot, self.ref).reinstate(self.request.now)
        return _changed(snapshot, agent, self.request, self.operation)


class DeleteAgent(NamedTuple):
    """Delete an agent that nothing refers to."""

    request: Request
    ref: str
    id: str
    operation: str = "agents.delete"

    def needs(self, needs: Needs) -> None:
        """Add the agent, and what refers to it."""
        _need(needs, self.ref, self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Delete the agent, and record who did it."""
        record = agent_record(snapshot, require_agent(snapshot, self.ref))
        if record.in_use:
            raise InvalidAction(
                "Agent is in use: it has runs, versions or deployments. Retire it instead"
            )
        agent = record.agent
        entry = audit_entry(self.request, self.operation, agent.id, agent.name)
        changes = Changes(deleted=(agent,), audit=(entry,))
        return Decision(changes, Done(agent.id, record))


def require_agent(snapshot: Snapshot, ref: str) -> Agent:
    """Return the agent with this id or external identifier.

    Raises:
        NotFound: no such agent.
    """
    agent = find_agent(snapshot, ref)
    if agent is None:
        raise NotFound(f"Agent {ref!r} not found")
    return agent


def agent_record(snapshot: Snapshot, agent: Agent) -> AgentRecord:
    """Return an agent with its use in the snapshot; see ``Needs.agents_in_use``."""
    runs = [run for run in snapshot.rows(AgentInstance) if run.agent_id == agent.id]
    users: Sequence[AgentDeployment | AgentSchemaVersion] = (
        *snapshot.rows(AgentDeployment),
        *snapshot.rows(AgentSchemaVersion),
    )
    return AgentRecord(
        agent,
        max((run.inserted_at for run in runs), default=None),
        in_use=any(user.agent_id == agent.id for user in users),
    )


def _need(needs: Needs, ref: str, agent_id: str) -> None:
    needs.agents.add(ref)
    needs.agents_in_use.add(agent_id)


def _need_profile(needs: Needs, profile_id: str | None) -> None:
    if profile_id is not None:
        needs.rows.add((RiskProfile, profile_id))


def _check_profile(snapshot: Snapshot, profile_id: str | None) -> None:
    if profile_id is None:
        return
    found = snapshot.get(RiskProfile, profile_id)
    if found is None or found.deleted_at is not None:
        raise invalid("risk_profile_id", f"{profile_id!r} is not a risk profile of this account")


def _changed(snapshot: Snapshot, agent: Agent, request: Request, operation: str) -> Decision:
    entry = audit_entry(request, operation, agent.id, agent.name)
    record = agent_record(snapshot, agent)
    return Decision(Changes(updated=(agent,), audit=(entry,)), Done(agent.id, record))


def find_agent(snapshot: Snapshot, ref: str) -> Agent | None:
    """Return the agent whose id, or else whose external identifier, is ``ref``; or None."""
    found = snapshot.get(Agent, ref)
    return found or snapshot.get(Agent, *by_external_identifier(ref))


def check_version(snapshot: Snapshot, agent_id: str, version_id: str | None) -> None:
    """Check that a version belongs to an agent. None, for no version, is always valid.

    Raises:
        ValidationFailed: the agent has no such version.
    """
    if version_id is None:
        return
    version = snapshot.get(AgentVersion, version_id)
    if version is None or version.agent_id != agent_id:
        raise invalid("current_version_id", "is not a version of this agent")
