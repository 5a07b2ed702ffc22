"""The reads for computing risk and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_rollup import AgentTypes, RecordedType
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.base import SpanUsage
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.read import READS


async def span_usage(
    connection: Connection, account_id: str, run_ids: Sequence[str]
) -> Sequence[SpanUsage]:
    """Count the spans of runs by run, type and model."""
    records = await connection.fetch(READS["risk.span_usage"], account_id, list(run_ids))
    return [SpanUsage._make(tuple(record)) for record in records]


async def profiles_of(
    connection: Connection, account_id: str, agent_ids: Sequence[str]
) -> Mapping[str, RiskProfile]:
    """Return the profiles of agents, by agent."""
    records = await connection.fetch(READS["risk.profiles_of"], account_id, list(agent_ids))
    return {record[0]: RiskProfile._make(tuple(record)[1:]) for record in records}


async def instances_of_agent(
    connection: Connection, account_id: str, agent_id: str, after: str, limit: int
) -> Sequence[AgentInstance]:
    """Return the runs of an agent after an id."""
    query = READS["risk.instances_of_agent"]
    records = await connection.fetch(query, account_id, agent_id, after, limit)
    return [AgentInstance._make(tuple(record)) for record in records]


async def agent_types(
    connection: Connection, account_id: str, agent_id: str, environment_id: str | None
) -> AgentTypes:
    """Return an agent's current schema versions, and the types of its spans."""
    named = (account_id, agent_id, environment_id)
    current = await connection.fetch(READS["risk.current_types"], *named)
    recorded = await connection.fetch(READS["risk.recorded_types"], *named)
    return AgentTypes(
        [record[0] for record in current],
        [RecordedType._make(tuple(record)) for record in recorded],
    )
