"""The filters of the list of runs and of its facets."""

from __future__ import annotations

from typing import Final

from prefactor_server.api.kernel import query
from prefactor_server.api.kernel.listing import FilterParameter
from prefactor_server.api.kernel.operation import Call, Parameter
from prefactor_server.domain.listing import Filter
from prefactor_server.domain.risk.risk_score import LEVELS
from prefactor_server.domain.runs.metadata import MAX_KEYS
from prefactor_server.domain.search.words import MAX_QUERY

STATUSES: Final = ("pending", "active", "complete", "failed", "cancelled", "terminated")
PURPOSES: Final = ("live", "smoke_test", "eval")
_TIME: Final = {"type": "string", "format": "date-time"}
_SECONDS: Final = {"type": "number", "minimum": 0}

AGENT: Final = Parameter("agent_id", "The agent's id, or its external identifier.")

FILTERS: Final = (
    FilterParameter(
        Parameter("agent_ids", f"Up to {query.MAX_IDS} ids of agents, separated by commas."),
        "agent_id",
        query.ids,
        "in",
    ),
    FilterParameter(Parameter("agent_version_id", "The version of the agent."), "agent_version_id"),
    FilterParameter(Parameter("environment_id", "The environment."), "environment_id"),
    FilterParameter(
        Parameter("status", "The status.", schema={"enum": list(STATUSES)}),
        "status",
        query.one_of(*STATUSES),
    ),
    FilterParameter(
        Parameter("purpose", "The purpose.", schema={"enum": list(PURPOSES)}),
        "purpose",
        query.one_of(*PURPOSES),
    ),
    FilterParameter(
        Parameter("external_identifier", "The client's own identifier of the run."),
        "external_identifier",
    ),
    FilterParameter(
        Parameter("started_after", "The earliest start.", schema=_TIME),
        "started_at",
        query.time,
        ">=",
    ),
    FilterParameter(
        Parameter("started_before", "The time before which the run started.", schema=_TIME),
        "started_at",
        query.time,
        "<",
    ),
    FilterParameter(
        Parameter("finished_after", "The earliest end. Open runs have no end.", schema=_TIME),
        "finished_at",
        query.time,
        ">=",
    ),
    FilterParameter(
        Parameter("finished_before", "The time before which the run ended.", schema=_TIME),
        "finished_at",
        query.time,
        "<",
    ),
    FilterParameter(
        Parameter(
            "min_duration",
            "The shortest duration in seconds. Open runs have no duration.",
            schema=_SECONDS,
        ),
        "duration",
        query.seconds,
        ">=",
    ),
    FilterParameter(
        Parameter("max_duration", "The longest duration in seconds.", schema=_SECONDS),
        "duration",
        query.seconds,
        "<=",
    ),
    FilterParameter(
        Parameter(
            "has_failed_spans", "Whether any span of the run failed.", schema={"type": "boolean"}
        ),
        "has_failed_spans",
        query.boolean,
    ),
    FilterParameter(
        Parameter(
            "abandoned",
            "Whether the run is active and its agent fell silent.",
            schema={"type": "boolean"},
        ),
        "abandoned",
        query.boolean,
    ),
    FilterParameter(
        Parameter("schema_name", "The type of at least one span of the run."), "schema_name"
    ),
    FilterParameter(
        Parameter("risk_level", "The level of risk.", schema={"enum": list(LEVELS)}),
        "risk_level",
        query.one_of(*LEVELS),
    ),
    FilterParameter(
        Parameter(
            "min_cost",
            "The lowest cost, in the currency of the prices.",
            schema={"type": "number", "minimum": 0},
        ),
        "cost",
        query.amount,
        ">=",
    ),
    FilterParameter(
        Parameter(
            "metadata",
            "Values that the run's metadata must have, as metadata[key]=value.",
            schema={
                "type": "object",
                "maxProperties": MAX_KEYS,
                "additionalProperties": {"type": "string"},
            },
            keyed=True,
        ),
        "metadata",
    ),
    FilterParameter(
        Parameter(
            "text",
            "Words that all occur in the summary, payload or result of one span. A word of three "
            "or more characters also matches longer words that begin with it.",
            schema={"type": "string", "maxLength": MAX_QUERY},
            cost=100,
        ),
        "text",
        query.search_text,
    ),
)


async def agent_filters(call: Call) -> tuple[Filter, ...]:
    """Return the filter for the agent that the query names, if any.

    Raises:
        NotFound: no agent has that id or external identifier.
    """
    agent = call.query.get(AGENT.name)
    if agent is None:
        return ()
    agents = call.services.reader.agents
    return (Filter("agent_id", "=", await agents.resolve_id(call.principal, agent)),)
