"""The writes of environments."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.environment import DEFAULT, Environment
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.storage.base import Changes, Needs, Snapshot


class CreateEnvironment(NamedTuple):
    """Create an environment."""

    request: Request
    id: str
    name: str
    operation: str = "environments.create"

    def needs(self, needs: Needs) -> None:
        """Add an existing environment with the same id."""
        needs.environments.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Create the environment. It is never the default, because each account has one already."""
        if snapshot.get(Environment, self.id) is not None:
            raise InvalidAction(f"An environment with the id {self.id!r} already exists")
        environment = Environment(
            id=self.id,
            account_id=self.request.account_id,
            name=self.name,
            is_default=False,
            inserted_at=self.request.now,
            updated_at=self.request.now,
        )
        entry = audit_entry(self.request, self.operation, environment.id, environment.name)
        changes = Changes(inserted=(environment,), audit=(entry,))
        return Decision(changes, Done(environment.id, environment))


class UpdateEnvironment(NamedTuple):
    """Rename an environment."""

    request: Request
    id: str
    name: str
    operation: str = "environments.update"

    def needs(self, needs: Needs) -> None:
        """Add the environment."""
        needs.environments.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Rename the environment."""
        found = require_environment(snapshot, self.id)
        environment = found._replace(name=self.name, updated_at=self.request.now)
        entry = audit_entry(self.request, self.operation, environment.id, environment.name)
        changes = Changes(updated=(environment,), audit=(entry,))
        return Decision(changes, Done(environment.id, environment))


class DeleteEnvironment(NamedTuple):
    """Delete an environment that nothing refers to."""

    request: Request
    id: str
    operation: str = "environments.delete"

    def needs(self, needs: Needs) -> None:
        """Add the environment and its deployments, which runs and tokens belong to."""
        needs.environments.add(self.id)
        needs.environments_in_use.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Delete the environment, and record who did it."""
        environment = require_environment(snapshot, self.id)
        if environment.is_default:
            raise InvalidAction(
                "The default environment cannot be deleted: registrations without "
                "environment_id use it"
            )
        if any(one.environment_id == self.id for one in snapshot.rows(AgentDeployment)):
            raise InvalidAction(
                "Environment is in use: agents are deployed in it. Delete their deployments first"
            )
        entry = audit_entry(self.request, self.operation, self.id, environment.name)
        changes = Changes(deleted=(environment,), audit=(entry,))
        return Decision(changes, Done(environment.id, environment))


def require_environment(snapshot: Snapshot, environment_id: str) -> Environment:
    """Return the environment with this id.

    Raises:
        NotFound: no such environment.
    """
    found = snapshot.get(Environment, environment_id)
    if found is None:
        raise NotFound(f"Environment {environment_id!r} not found")
    return found


def registration_environment(snapshot: Snapshot, environment_id: str | None) -> Environment:
    """Return the environment with this id, or the account's default one.

    Raises:
        NotFound: no such environment.
    """
    key = DEFAULT if environment_id is None else (environment_id,)
    found = snapshot.get(Environment, *key)
    if found is None:
        raise NotFound(f"Environment {environment_id or 'Default'!r} not found")
    return found
