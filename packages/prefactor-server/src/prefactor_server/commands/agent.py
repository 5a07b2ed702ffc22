"""The writes of agents."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.base import Decision, Done, Request
from prefactor_server.domain.agent import Agent, by_external_identifier
from prefactor_server.domain.errors import InvalidAction, invalid
from prefactor_server.storage.base import Changes, Needs, Snapshot


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

    @property
    def operation(self) -> str:
        """The name of the operation."""
        return "agents.create"

    def needs(self, needs: Needs) -> None:
        """Agents that may have the same id or external identifier."""
        needs.agents.add(self.id)
        if self.external_identifier is not None:
            needs.agents.add(self.external_identifier)

    def decide(self, snapshot: Snapshot) -> Decision:
        """A new agent."""
        if find_agent(snapshot, self.id) is not None:
            raise InvalidAction(f"An agent known as {self.id!r} exists already")
        external = self.external_identifier
        if external is not None and find_agent(snapshot, external) is not None:
            raise invalid("external_identifier", f"{external!r} belongs to another agent")
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
        )
        return Decision(Changes(inserted=(agent,)), Done(agent.id, agent))


def find_agent(snapshot: Snapshot, ref: str) -> Agent | None:
    """The agent whose id, or else whose external identifier, is ``ref``."""
    found = snapshot.get(Agent, ref)
    return found or snapshot.get(Agent, *by_external_identifier(ref))
