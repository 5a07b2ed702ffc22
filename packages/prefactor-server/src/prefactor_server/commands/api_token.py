"""The writes of API tokens."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.agent import find_agent
from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.commands.people.session import sessions_of
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.api_token import ApiToken, TokenMove
from prefactor_server.domain.environment import DEFAULT, Environment
from prefactor_server.domain.errors import NotFound, invalid, required
from prefactor_server.storage.base import Changes, Needs, Registration, Row, Snapshot


class CreateToken(NamedTuple):
    """Store a new token, whose text only the caller knows.

    ``token`` has no agent, environment or deployment yet: a deployment token gets those of the
    agent that ``agent_ref`` names, in the environment of that id (None for the default one).
    The deployment is created as ``new_deployment_id`` if it is missing.
    """

    request: Request
    token: ApiToken
    agent_ref: str | None
    environment_id: str | None
    new_deployment_id: str
    operation: str = "api_tokens.create"

    def needs(self, needs: Needs) -> None:
        """Add what a deployment token is bound to."""
        if self.agent_ref is not None:
            needs.registrations.add(
                Registration(self.agent_ref, self.environment_id, None, None, None)
            )

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the token, and record who created it."""
        made: list[Row] = []
        token = self.token
        if token.token_scope == "agent_deployment":  # noqa: S105 - a scope is no secret
            token = self._bound(self._deployment(snapshot, made))
        elif self.agent_ref is not None:
            raise invalid("agent_id", "must not be given: an account token is bound to no agent")
        elif self.environment_id is not None:
            raise invalid(
                "environment_id", "must not be given: an account token is bound to no environment"
            )
        entry = audit_entry(self.request, self.operation, token.id, token.token_scope)
        return Decision(Changes(inserted=(*made, token), audit=(entry,)), Done(token.id, token))

    def _bound(self, deployment: AgentDeployment) -> ApiToken:
        return self.token._replace(
            agent_id=deployment.agent_id,
            environment_id=deployment.environment_id,
            agent_deployment_id=deployment.id,
        )

    def _deployment(self, snapshot: Snapshot, made: list[Row]) -> AgentDeployment:
        if self.agent_ref is None:
            raise required("agent_id")
        agent = find_agent(snapshot, self.agent_ref)
        if agent is None:
            raise NotFound(f"Agent {self.agent_ref!r} not found")
        handle = DEFAULT if self.environment_id is None else (self.environment_id,)
        environment = snapshot.get(Environment, *handle)
        if environment is None:
            raise NotFound(f"Environment {self.environment_id or 'Default'!r} not found")
        found = snapshot.get(AgentDeployment, agent.id, environment.id)
        if found is not None:
            return found
        deployment = AgentDeployment(
            id=self.new_deployment_id,
            account_id=self.request.account_id,
            agent_id=agent.id,
            environment_id=environment.id,
            current_version_id=None,
            inserted_at=self.request.now,
            updated_at=self.request.now,
        )
        made.append(deployment)
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
        NotFound: there is none.
    """
    found = snapshot.get(ApiToken, token_id)
    if found is None:
        raise NotFound(f"Token {token_id!r} not found")
    return found
