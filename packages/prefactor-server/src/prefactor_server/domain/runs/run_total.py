"""Totals over the spans of a run, kept beside the run: tokens, cost and risk.

Tokens are counted once. Cost and risk are recomputed from them when the operator's prices or the
agent's risk profile change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_score import DataRisk, RiskLevel, run_risk
from prefactor_server.domain.runs.cost import PriceTable, TokenUse, cost_of

RUN_TOTALS: Final = "run_totals"
"""The name of the consumer of the change feed that keeps totals."""

COST_UNITS: Final = 10**9
"""Costs are stored as integers, in billionths of the currency."""
_MAX_COST: Final = 2**62


class TypeUse(NamedTuple):
    """The spans of one type with one model; see ``TokenUse``."""

    schema_name: str
    model: str | None
    spans: int
    counted_spans: int
    split_spans: int
    prompt_tokens: int
    completion_tokens: int


class RunUse(NamedTuple):
    """The spans of a run by type and model, and when the last of them started or finished."""

    uses: Sequence[TypeUse]
    last_activity_at: int | None


class RunTotal(NamedTuple):
    """The totals of a run. ``id`` is the run's.

    ``cost`` is None if there were tokens but no price; ``risk_score`` and ``risk_level`` are None
    if the agent has no profile. The revisions identify the prices and the profile that were used.
    """

    account_id: str
    id: str
    agent_id: str
    cost: int | None
    unpriced_spans: int
    risk_score: float | None
    risk_level: RiskLevel | None
    last_activity_at: int | None
    usage: str
    price_revision: int
    risk_revision: str

    @property
    def total_tokens(self) -> int:
        """The tokens of all spans, input and output."""
        return sum(use.prompt_tokens + use.completion_tokens for use in read_usage(self.usage))


class RunTotalDue(NamedTuple):
    """A run whose spans have changed since they were last counted."""

    account_id: str
    id: str
    since: int


def usage_document(uses: Sequence[TypeUse]) -> str:
    """Return a run's usage in its stored form."""
    ordered = sorted(uses, key=lambda use: (use.schema_name, use.model is None, use.model or ""))
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))


def read_usage(document: str) -> list[TypeUse]:
    """Parse a run's stored usage."""
    return [TypeUse(*use) for use in json.loads(document)]


def span_counts(uses: Sequence[TypeUse]) -> Mapping[str, int]:
    """Return the number of spans by type."""
    counts: dict[str, int] = {}
    for use in uses:
        counts[use.schema_name] = counts.get(use.schema_name, 0) + use.spans
    return counts


def risk_revision(profile: RiskProfile | None) -> str:
    """Return a text that identifies the state of a profile, empty without a profile."""
    return "" if profile is None else f"{profile.id} {profile.updated_at}"


def total_of(
    account_id: str,
    run_id: str,
    agent_id: str,
    uses: Sequence[TypeUse],
    last_activity_at: int | None,
    *,
    prices: PriceTable,
    profile: RiskProfile | None,
    declared: Mapping[str, DataRisk],
) -> RunTotal:
    """Return the totals for a run's usage."""
    cost = cost_of((TokenUse(*use[1:]) for use in uses), prices)
    risk = None if profile is None else run_risk(span_counts(uses), declared, profile.weights())
    return RunTotal(
        account_id=account_id,
        id=run_id,
        agent_id=agent_id,
        cost=None if cost.total_cost is None else cost_units(cost.total_cost),
        unpriced_spans=cost.unpriced_spans,
        risk_score=None if risk is None else risk.score,
        risk_level=None if risk is None else risk.level,
        last_activity_at=last_activity_at,
        usage=usage_document(uses),
        price_revision=prices.revision,
        risk_revision=risk_revision(profile),
    )


def cost_units(cost: float) -> int:
    """Return an amount in stored units."""
    return min(round(cost * COST_UNITS), _MAX_COST)
