"""How risk and cost are answered, and how answers about runs and spans get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from prefactor_server.api.agent_instance_views import (
    AgentInstanceDetails,
    AgentInstanceSummary,
    CostBreakdown,
    ModelCostView,
    RiskBreakdown,
    SpanTypeRisk,
)
from prefactor_server.api.agent_span_views import AgentSpanView
from prefactor_server.api.operation import Call
from prefactor_server.domain.agent_instance import AgentInstance
from prefactor_server.domain.agent_span import AgentSpan
from prefactor_server.domain.cost import Cost, cost_of
from prefactor_server.domain.risk import exceeds
from prefactor_server.queries.risk import ScoredRun, SpanOf


async def with_figures(
    call: Call, run: AgentInstance, details: AgentInstanceDetails
) -> AgentInstanceDetails:
    """A run by itself with its score, how that came about, and what it cost."""
    figures = await call.services.reader.risks.of_run(run)
    scored = figures.scored
    return msgspec.structs.replace(
        details,
        cost_breakdown=_cost(cost_of(figures.tokens, call.services.prices)),
        risk_score=None if scored is None else scored.risk.score,
        risk_level=None if scored is None else scored.risk.level,
        risk_breakdown=None if scored is None else _breakdown(scored),
    )


async def with_scores(
    call: Call, runs: Sequence[AgentInstance], summaries: Sequence[AgentInstanceSummary]
) -> Sequence[AgentInstanceSummary]:
    """Runs on a list, with the scores that there are."""
    scores = await call.services.reader.risks.of_runs(call.principal.account_id, runs)
    if not scores:
        return summaries
    return [_with_score(scores.get(one.id), one) for one in summaries]


async def with_levels(
    call: Call, spans: Sequence[AgentSpan], views: Sequence[AgentSpanView]
) -> Sequence[AgentSpanView]:
    """Spans with their scores and levels, each by itself."""
    places = [await _place(call, span) for span in spans]
    scores = await call.services.reader.risks.of_spans(call.principal.account_id, places)
    return [
        view
        if scored is None
        else msgspec.structs.replace(view, risk_score=scored.score, risk_level=scored.level)
        for view, scored in zip(views, scores, strict=True)
    ]


async def _place(call: Call, span: AgentSpan) -> SpanOf:
    run = await call.services.intake.run(call.principal, span.agent_instance_id, call.overlay)
    version = "" if run is None else run.schema_version_id
    return SpanOf(span.agent_id, version, span.schema_name)


def _with_score(scored: ScoredRun | None, summary: AgentInstanceSummary) -> AgentInstanceSummary:
    if scored is None:
        return summary
    risk = scored.risk
    return msgspec.structs.replace(summary, risk_score=risk.score, risk_level=risk.level)


def _breakdown(scored: ScoredRun) -> RiskBreakdown:
    profile, risk = scored
    weights = profile.weights()
    medium, high, critical = weights.thresholds
    return RiskBreakdown(
        risk_profile_id=profile.id,
        risk_profile_name=profile.name,
        formula_version=profile.formula,
        score=risk.score,
        level=risk.level,
        thresholds={"medium": medium, "high": high, "critical": critical},
        agreed_risk=profile.agreed_risk,
        exceeds_agreed_risk=exceeds(risk.level, profile.agreed_risk),
        span_types=[
            SpanTypeRisk(
                schema_name=one.schema_name,
                spans=one.spans,
                category_weights=_texts(one.categories),
                action_multipliers=_texts(one.actions),
                multiplier=one.multiplier,
                span_score=one.span_score,
                score=one.score,
            )
            for one in risk.types
        ],
    )


def _texts(numbers: Mapping[Any, float]) -> dict[str, float]:
    return {str(name): number for name, number in numbers.items()}


def _cost(cost: Cost) -> CostBreakdown:
    return CostBreakdown(
        total_cost=cost.total_cost,
        currency=cost.currency,
        by_model=[ModelCostView(**one._asdict()) for one in cost.by_model],
        unpriced_spans=cost.unpriced_spans,
    )
