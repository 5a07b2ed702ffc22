"""An agent's state, derived from its runs."""

import pytest

from prefactor_server.domain.agent import (
    DORMANT_AFTER_US,
    Agent,
    AgentStatus,
    agent_status,
    by_external_identifier,
    check_can_register,
)
from prefactor_server.domain.errors import InvalidAction

NOW = DORMANT_AFTER_US * 2
AGENT = Agent("a", "account", "A", None, None, None, None, None, None, 0, 0)


@pytest.mark.parametrize(
    ("retired_at", "registered_at", "status"),
    [
        (None, None, "pending"),
        (None, NOW, "active"),
        (None, NOW - DORMANT_AFTER_US, "active"),
        (None, NOW - DORMANT_AFTER_US - 1, "dormant"),
        (1, NOW, "retired"),
        (1, None, "retired"),
    ],
)
def test_the_status_of_an_agent(
    retired_at: int | None, registered_at: int | None, status: AgentStatus
) -> None:
    """An agent without runs is pending, after thirty quiet days dormant, and retired by hand."""
    assert agent_status(AGENT._replace(retired_at=retired_at), registered_at, NOW) == status


def test_a_retired_agent_cannot_register() -> None:
    """A run of a retired agent is refused, with the step that would allow it."""
    check_can_register(AGENT)

    with pytest.raises(InvalidAction, match="reinstate it before registering"):
        check_can_register(AGENT._replace(retired_at=1))


def test_both_names_of_an_agent_are_handles() -> None:
    """An agent is found by its id and, when it has one, by its external identifier."""
    assert AGENT.lookup_keys() == (("a",),)
    assert AGENT._replace(external_identifier="a").lookup_keys() == (
        ("a",),
        by_external_identifier("a"),
    )
