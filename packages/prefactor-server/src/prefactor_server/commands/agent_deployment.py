"""The writes of deployments. Registrations create deployments too."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.agent import check_version, require_agent
from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.commands.environment import require_environment
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.base import Changes, Needs, Registration, Snapshot


class CreateDeployment(NamedTuple):
    """Deploy an agent in an environment."""

    request: Request
    id: str
    agent_ref: str
    environment_id: str
    current_version_id: str | None
    operation: str = "agent_deployments.create"

    def needs(self, needs: Needs) -> None:
        """Add the agent, the environment, an existing deployment, and the current version."""
        needs.registrations.add(Registration(self.agent_ref, self.environment_id, None, None, None))
        needs.rows.add((AgentDeployment, self.id))
        if self.current_version_id is not None:
            needs.rows.add((AgentVersion, self.current_version_id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Create the deployment, the only one of its agent in its environment."""
        agent = require_agent(snapshot, self.agent_ref)
        environment = require_environment(snapshot, self.environment_id)
        existing = snapshot.get(AgentDeployment, agent.id, environment.id)
        if existing is not None:
            raise InvalidAction(
                f"The agent is already deployed in this environment, as {existing.id!r}"
            )
        if snapshot.get(AgentDeployment, self.id) is not None:
            raise InvalidAction(f"A deployment with the id {self.id!r} already exists")
        check_version(snapshot, agent.id, self.current_version_id)
        deployment = new_deployment(
            self.request, self.id, agent.id, environment.id, self.current_version_id
        )
        where = f"{agent.name} in {environment.name}"
        entry = audit_entry(self.request, self.operation, deployment.id, where)
        changes = Changes(inserted=(deployment,), audit=(entry,))
        return Decision(changes, Done(deployment.id, deployment))


class UpdateDeployment(NamedTuple):
    """Make another version, or no version, current in a deployment."""

    request: Request
    id: str
    current_version_id: str | None
    operation: str = "agent_deployments.update"

    def needs(self, needs: Needs) -> None:
        """Add the deployment and the version."""
        needs.rows.add((AgentDeployment, self.id))
        if self.current_version_id is not None:
            needs.rows.add((AgentVersion, self.current_version_id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the deployment with its new current version."""
        found = _find(snapshot, self.id)
        check_version(snapshot, found.agent_id, self.current_version_id)
        deployment = found._replace(
            current_version_id=self.current_version_id, updated_at=self.request.now
        )
        current = f"current version: {deployment.current_version_id or 'none'}"
        entry = audit_entry(self.request, self.operation, deployment.id, current)
        changes = Changes(updated=(deployment,), audit=(entry,))
        return Decision(changes, Done(deployment.id, deployment))


class DeleteDeployment(NamedTuple):
    """Delete a deployment that nothing refers to."""

    request: Request
    id: str
    operation: str = "agent_deployments.delete"

    def needs(self, needs: Needs) -> None:
        """Add the deployment, its tokens, and whether it has runs."""
        needs.rows.add((AgentDeployment, self.id))
        needs.deployments_in_use.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Delete the deployment, and record who did it."""
        deployment = _find(snapshot, self.id)
        if any(run.agent_deployment_id == self.id for run in snapshot.rows(AgentInstance)):
            raise InvalidAction("Deployment is in use: it has runs, which cannot move")
        if any(token.agent_deployment_id == self.id for token in snapshot.rows(ApiToken)):
            raise InvalidAction("Deployment is in use: tokens belong to it. Delete them first")
        entry = audit_entry(self.request, self.operation, self.id)
        changes = Changes(deleted=(deployment,), audit=(entry,))
        return Decision(changes, Done(deployment.id, deployment))


def new_deployment(
    request: Request,
    deployment_id: str,
    agent_id: str,
    environment_id: str,
    current_version_id: str | None = None,
) -> AgentDeployment:
    """Return a new deployment of an agent in an environment."""
    return AgentDeployment(
        id=deployment_id,
        account_id=request.account_id,
        agent_id=agent_id,
        environment_id=environment_id,
        current_version_id=current_version_id,
        inserted_at=request.now,
        updated_at=request.now,
    )


def _find(snapshot: Snapshot, deployment_id: str) -> AgentDeployment:
    found = snapshot.get(AgentDeployment, deployment_id)
    if found is None:
        raise NotFound(f"Deployment {deployment_id!r} not found")
    return found
