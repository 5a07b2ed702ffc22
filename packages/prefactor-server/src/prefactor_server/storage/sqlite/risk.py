"""The reads for computing risk and cost."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_rollup import AgentTypes, RecordedType
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.base import SpanUsage
from prefactor_server.storage.sqlite.read import READS


def span_usage(
    connection: sqlite3.Connection, account_id: str, run_ids: Sequence[str]
) -> Sequence[SpanUsage]:
    """Count the spans of runs by run, type and model."""
    named = {"account_id": account_id, "ids": json.dumps(list(run_ids))}
    return [SpanUsage._make(row) for row in connection.execute(READS["risk.span_usage"], named)]


def profiles_of(
    connection: sqlite3.Connection, account_id: str, agent_ids: Sequence[str]
) -> Mapping[str, RiskProfile]:
    """Return the profiles of agents, by agent."""
    named = {"account_id": account_id, "ids": json.dumps(list(agent_ids))}
    rows = connection.execute(READS["risk.profiles_of"], named)
    return {agent_id: RiskProfile._make(profile) for agent_id, *profile in rows}


def instances_of_agent(
    connection: sqlite3.Connection, account_id: str, agent_id: str, after: str, limit: int
) -> Sequence[AgentInstance]:
    """Return the runs of an agent after an id."""
    named = {"account_id": account_id, "agent_id": agent_id, "after": after, "limit": limit}
    rows = connection.execute(READS["risk.instances_of_agent"], named)
    return [AgentInstance._make(row) for row in rows]


def agent_types(
    connection: sqlite3.Connection, account_id: str, agent_id: str, environment_id: str | None
) -> AgentTypes:
    """Return an agent's current schema versions, and the types of its spans."""
    named = {"account_id": account_id, "agent_id": agent_id, "environment_id": environment_id}
    current = [version for (version,) in connection.execute(READS["risk.current_types"], named)]
    recorded = connection.execute(READS["risk.recorded_types"], named)
    return AgentTypes(current, [RecordedType._make(row) for row in recorded])
