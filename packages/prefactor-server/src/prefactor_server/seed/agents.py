"""The three example agents with their versions."""

from __future__ import annotations

from typing import Final, NamedTuple

from prefactor_server.seed.span_types import Json, quality_schemas, span_types


class Version(NamedTuple):
    """A release of an agent. ``since`` is its start as a share of the history."""

    name: str
    since: float
    revision: int
    model: str


class Agent(NamedTuple):
    """An agent. ``weight`` is its share of all runs, and ``failing`` the share of failed ones."""

    key: str
    name: str
    description: str
    weight: int
    failing: float
    moves_money: bool
    versions: tuple[Version, ...]

    @property
    def external_identifier(self) -> str:
        """The external identifier of the agent."""
        return f"seed-{self.key}"

    def version_at(self, share: float) -> Version:
        """Return the version in use at a share of the history."""
        return [one for one in self.versions if one.since <= share][-1]


AGENTS: Final = (
    Agent(
        "support",
        "Support assistant",
        "Answers customers' tickets from the handbook and the order system.",
        weight=6,
        failing=0.05,
        moves_money=False,
        versions=(
            Version("v1.4.2", 0.0, 1, "gpt-4o-mini"),
            Version("v1.5.0", 0.45, 2, "gpt-4o-mini"),
            Version("v1.5.1", 0.8, 2, "gpt-4.1-mini"),
        ),
    ),
    Agent(
        "research",
        "Market researcher",
        "Plans a question, sends out searchers, and writes a report with sources.",
        weight=2,
        failing=0.09,
        moves_money=False,
        versions=(
            Version("2026.41", 0.0, 1, "claude-sonnet-4-5"),
            Version("2026.42", 0.6, 2, "claude-sonnet-4-5"),
        ),
    ),
    Agent(
        "billing",
        "Invoice clerk",
        "Matches invoices with orders, and pays what a person approved.",
        weight=3,
        failing=0.03,
        moves_money=True,
        versions=(
            Version("v0.9.0", 0.0, 1, "gpt-4o"),
            Version("v1.0.0", 0.3, 1, "gpt-4o"),
            Version("v1.1.0", 0.7, 2, "gpt-4.1"),
        ),
    ),
)

RISK_PROFILE: Final[Json] = {
    "id": "seed-customer-data",
    "name": "Customer data (example)",
    "description": "Made by prefactor-server seed.",
    "category_weights": {
        "personal_identifiers": 2,
        "contact_information": 1,
        "financial_information": 3,
    },
    "action_multipliers": {"external_communication": 2, "financial_transactions": 4},
    "thresholds": {"medium": 20, "high": 60, "critical": 120},
    "agreed_risk": "high",
}
ENVIRONMENT: Final[Json] = {"id": "seed-staging", "name": "Staging (example)"}
"""The second environment. Every tenth run is in it."""


def creation(agent: Agent) -> Json:
    """Return the fields for creating an agent."""
    return {
        "name": agent.name,
        "description": agent.description,
        "external_identifier": agent.external_identifier,
        "risk_profile_id": RISK_PROFILE["id"],
    }


def declaration(agent: Agent, version: Version) -> Json:
    """Return the agent, version and schemas of a registration."""
    types = span_types(agent.key, moves_money=agent.moves_money, revision=version.revision)
    return {
        "agent_id": agent.external_identifier,
        "agent_version": {
            "name": agent.name,
            "description": agent.description,
            "external_identifier": version.name,
            "runtime_environment": {"python": "3.12.7", "model": version.model},
        },
        "agent_schema_version": {
            "external_identifier": f"{agent.key}-schema-{version.revision}",
            "span_type_schemas": types,
            "quality_schemas": quality_schemas(),
        },
    }
