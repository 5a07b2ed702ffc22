"""An agent deployment: one agent in one environment, with its current version there."""

from __future__ import annotations

from typing import NamedTuple


class AgentDeployment(NamedTuple):
    """One deployment. An agent has at most one in each environment."""

    id: str
    account_id: str
    agent_id: str
    environment_id: str
    current_version_id: str | None
    inserted_at: int
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its keys: its id, and its agent with its environment."""
        return ((self.id,), (self.agent_id, self.environment_id))
