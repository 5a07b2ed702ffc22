"""The reads that risk and cost are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_rollup import AgentTypes, RecordedType
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.found_alert import WatchedRuns
from prefactor_server.storage.base import SpanUsage
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.sql import load_sql

READS: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.postgres", "reads.sql")
_PROFILES_OF: Final = READS["risk.profiles_of"].replace(
    "{profile}", ", ".join(f"t.{column}" for column in RiskProfile._fields)
)
_RUN: Final = ", ".join(f"t.{column}" for column in AgentInstance._fields)
_ENDED_BADLY: Final = READS["risk.ended_badly"].replace("{run}", _RUN)
_WEIGHED: Final = READS["risk.weighed"].replace("{run}", _RUN)


async def span_usage(
    connection: Connection, account_id: str, run_ids: Sequence[str]
) -> Sequence[SpanUsage]:
    """The spans of runs, counted by run, type and model."""
    records = await connection.fetch(READS["risk.span_usage"], account_id, list(run_ids))
    return [SpanUsage._make(tuple(record)) for record in records]


async def profiles_of(
    connection: Connection, account_id: str, agent_ids: Sequence[str]
) -> Mapping[str, RiskProfile]:
    """The profiles of agents, by agent."""
    records = await connection.fetch(_PROFILES_OF, account_id, list(agent_ids))
    return {record[0]: RiskProfile._make(tuple(record)[1:]) for record in records}


async def watched_runs(
    connection: Connection, account_id: str, since: int, limit: int
) -> WatchedRuns:
    """Runs that ended badly, and that have a profile, since a time."""
    ended = await connection.fetch(_ENDED_BADLY, account_id, since, limit)
    weighed = await connection.fetch(_WEIGHED, account_id, since, limit)
    return WatchedRuns(
        [AgentInstance._make(tuple(record)) for record in ended],
        [AgentInstance._make(tuple(record)) for record in weighed],
    )


async def agent_types(
    connection: Connection, account_id: str, agent_id: str, environment_id: str | None
) -> AgentTypes:
    """What is current for an agent, and what its spans are."""
    named = (account_id, agent_id, environment_id)
    current = await connection.fetch(READS["risk.current_types"], *named)
    recorded = await connection.fetch(READS["risk.recorded_types"], *named)
    return AgentTypes(
        [record[0] for record in current],
        [RecordedType._make(tuple(record)) for record in recorded],
    )
