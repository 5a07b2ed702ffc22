"""An agent: the program whose runs are recorded."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.errors import InvalidAction
from prefactor_server.domain.times import DAY_US

AgentStatus: TypeAlias = Literal["pending", "active", "dormant", "retired"]

DORMANT_AFTER_US: Final = 30 * DAY_US
"""An agent without a registration for this long is dormant."""


class Agent(NamedTuple):
    """One agent, found by its ``id`` or its ``external_identifier``."""

    id: str
    account_id: str
    name: str
    description: str | None
    external_identifier: str | None
    owner_person_id: str | None
    risk_profile_id: str | None
    team_id: str | None
    retired_at: int | None
    inserted_at: int
    updated_at: int
    run_cost_limit: int | None = None
    """The cost above which a run raises an alert, as an integer in ``1 / COST_UNITS``."""

    def retire(self, now: int) -> Agent:
        """Return the agent, retired. It can no longer register runs.

        Raises:
            InvalidAction: it is already retired.
        """
        if self.retired_at is not None:
            raise InvalidAction("Agent is already retired")
        return self._replace(retired_at=now, updated_at=now)

    def reinstate(self, now: int) -> Agent:
        """Return the agent, no longer retired.

        Raises:
            InvalidAction: it is not retired.
        """
        if self.retired_at is None:
            raise InvalidAction("Agent is not retired")
        return self._replace(retired_at=None, updated_at=now)

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its keys: its id and its external identifier."""
        if self.external_identifier is None:
            return ((self.id,),)
        return ((self.id,), by_external_identifier(self.external_identifier))


def by_external_identifier(identifier: str) -> tuple[str, ...]:
    """Return the lookup key of an agent by its external identifier."""
    return ("external_identifier", identifier)


def agent_status(agent: Agent, last_registered_at: int | None, now: int) -> AgentStatus:
    """Return the status of an agent, from its retirement and its latest run."""
    if agent.retired_at is not None:
        return "retired"
    if last_registered_at is None:
        return "pending"
    return "dormant" if now - last_registered_at > DORMANT_AFTER_US else "active"


def check_can_register(agent: Agent) -> None:
    """Check that the agent may register runs.

    Raises:
        InvalidAction: the agent is retired.
    """
    if agent.retired_at is not None:
        raise InvalidAction("Agent is retired: reinstate it before registering a run")
