"""The writes of API tokens."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.agent import require_agent
from prefactor_server.commands.agent_deployment import new_deployment
from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.commands.environment import registration_environment
from prefactor_server.commands.people.session import sessions_of
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.api_token import ApiToken, TokenMove
from prefactor_server.domain.errors import NotFound, invalid, required
from prefactor_server.storage.base import Changes, Needs, Registration, Row, Snapshot


class CreateToken(NamedTuple):
    """Store a new token, whose text only the caller knows.

    ``token`` has no agent, environment or deployment yet. A deployment token is bound to the agent
    that ``agent_ref`` names, in the environment ``environment_id`` or in the default one. A missing
    deployment is created as ``new_deployment_id``.
    """

    request: Request
    token: ApiToken
    agent_ref: str | None
    environment_id: str | None
    new_deployment_id: str
    operation: str = "api_tokens.create"

    def needs(self, needs: Needs) -> None:
        """Add the agent, environment and deployment that the token is bound to."""
        if self.agent_ref is not None:
            needs.registrations.add(
                Registration(self.agent_ref, self.environment_id, None, None, None)
            )

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the token, and record who created it."""
        created: list[Row] = []
        token = self.token
        if token.token_scope == "agent_deployment":  # noqa: S105 - a scope is no secret
            token = self._bound(self._deployment(snapshot, created))
        elif self.agent_ref is not None:
            raise invalid("agent_id", "must not be set: an account token is not bound to an agent")
        elif self.environment_id is not None:
            raise invalid(
                "environment_id", "must not be set: an account token is not bound to an environment"
            )
        entry = audit_entry(self.request, self.operation, token.id, token.token_scope)
        return Decision(Changes(inserted=(*created, token), audit=(entry,)), Done(token.id, token))

    def _bound(self, deployment: AgentDeployment) -> ApiToken:
        return self.token._replace(
            agent_id=deployment.agent_id,
            environment_id=deployment.environment_id,
            agent_deployment_id=deployment.id,
        )

    def _deployment(self, snapshot: Snapshot, created: list[Row]) -> AgentDeployment:
        if self.agent_ref is None:
            raise required("agent_id")
        agent = require_agent(snapshot, self.agent_ref)
        environment = registration_environment(snapshot, self.environment_id)
        found = snapshot.get(AgentDeployment, agent.id, environment.id)
        if found is not None:
            return found
        deployment = new_deployment(self.request, self.new_deployment_id, agent.id, environment.id)
        created.append(deployment)
        return deployment


class ChangeToken(NamedTuple):
    """Suspend, activate or revoke a token."""

    request: Request
    id: str
    move: TokenMove

    @property
    def operation(self) -> str:
        """The name of the operation."""
        return f"api_tokens.{self.move}"

    def needs(self, needs: Needs) -> None:
        """Add the token, and the sessions that end with it."""
        needs.tokens.add(self.id)
        if self.move == "revoke":
            needs.sessions_of.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Change the token's status, and record who did it."""
        token = require_token(snapshot, self.id).after(self.move, self.request.now)
        entry = audit_entry(self.request, self.operation, token.id, token.token_scope)
        ended = sessions_of(snapshot, self.id) if self.move == "revoke" else ()
        changes = Changes(updated=(token,), deleted=ended, audit=(entry,))
        return Decision(changes, Done(token.id, token))


class DeleteToken(NamedTuple):
    """Delete a revoked token."""

    request: Request
    id: str
    operation: str = "api_tokens.delete"

    def needs(self, needs: Needs) -> None:
        """Add the token."""
        needs.tokens.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Delete the token, and record who did it."""
        token = require_token(snapshot, self.id)
        token.check("delete")
        entry = audit_entry(self.request, self.operation, token.id, token.token_scope)
        return Decision(Changes(deleted=(token,), audit=(entry,)), Done(token.id, token))


class TouchToken(NamedTuple):
    """Record that a token was used. No request waits for this."""

    request: Request
    id: str
    operation: str = "api_tokens.touch"

    def needs(self, needs: Needs) -> None:
        """Add the token."""
        needs.tokens.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Update the token's last use."""
        used = require_token(snapshot, self.id)._replace(last_used_at=self.request.now)
        return Decision(Changes(updated=(used,)), Done(used.id, used))


def require_token(snapshot: Snapshot, token_id: str) -> ApiToken:
    """Return the token with this id.

    Raises:
        NotFound: no such token.
    """
    found = snapshot.get(ApiToken, token_id)
    if found is None:
        raise NotFound(f"Token {token_id!r} not found")
    return found
