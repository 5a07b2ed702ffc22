"""The views of risk and cost, and how they are added to runs and spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from prefactor_server.api.kernel.operation import Call, Parameter
from prefactor_server.api.kernel.query import flag_unless_false
from prefactor_server.api.views.agent_instance import (
    AgentInstanceDetails,
    AgentInstanceSummary,
    CostBreakdown,
    CostGroupView,
    ModelCostView,
    RiskBreakdown,
    SpanTypeRisk,
)
from prefactor_server.api.views.agent_span import AgentSpanView
from prefactor_server.api.views.base import show_optional_time
from prefactor_server.domain.risk.risk_score import exceeds
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.cost import Cost, cost_of
from prefactor_server.domain.runs.run_total import COST_UNITS, RunTotal
from prefactor_server.queries.risk import ScoredRun, SpanRef

COMPUTED: Final = tuple(
    Parameter(name, f"{text} False leaves it null.", schema={"type": "boolean", "default": True})
    for name, text in (
        ("include_counts", "Whether to count spans by type."),
        ("include_costs", "Whether to compute the cost of the tokens."),
        ("include_risk_score", "Whether to compute the risk."),
        ("include_alert_count", "Whether to count the alerts about the run."),
    )
)

_SPANS_PER_COST: Final = 2000
"""How many spans are counted at the cost of looking up a row."""


async def with_figures(
    call: Call, run: AgentInstance, details: AgentInstanceDetails
) -> AgentInstanceDetails:
    """Return a run with the requested figures that are computed from its spans."""
    figures = await call.services.reader.risks.for_run(run)
    call.work.read_cost += figures.counted // _SPANS_PER_COST
    scored, last = figures.scored, figures.last_activity_at
    wanted = {one.name for one in COMPUTED if flag_unless_false(call.query, one.name)}
    found: dict[str, Any] = {"last_activity_span_at": show_optional_time(last)}
    if "include_counts" in wanted:
        counts = figures.span_counts
        # A type that is itself called by_name takes precedence.
        found["span_schema_counts"] = {"by_name": counts, **counts}
    if "include_costs" in wanted:
        found["cost_breakdown"] = _cost(cost_of(figures.tokens, call.services.prices))
    if "include_alert_count" in wanted:
        found["raised_alert_count"] = await call.services.reader.alerts.raised(run)
    if "include_risk_score" in wanted and scored is not None:
        found["risk_score"], found["risk_level"] = scored.risk.score, scored.risk.level
        found["risk_breakdown"] = _breakdown(scored)
    return msgspec.structs.replace(details, **found)


async def with_scores(
    call: Call, runs: Sequence[AgentInstance], summaries: Sequence[AgentInstanceSummary]
) -> Sequence[AgentInstanceSummary]:
    """Return runs in a list with their scores, where known."""
    scores = await call.services.reader.risks.for_runs(call.principal.account_id, runs)
    if not scores:
        return summaries
    return [_with_score(scores.get(one.id), one) for one in summaries]


async def with_totals(
    call: Call, summaries: Sequence[AgentInstanceSummary]
) -> Sequence[AgentInstanceSummary]:
    """Return runs in a list with their first summaries and their totals."""
    ids = [one.id for one in summaries]
    reader = call.services.reader.agent_instances
    totals, says = await reader.totals(call.principal.account_id, ids)
    currency = call.services.prices.currency
    return [
        msgspec.structs.replace(
            one, first_summary=says.get(one.id), **_totals(totals.get(one.id), currency)
        )
        for one in summaries
    ]


def _totals(total: RunTotal | None, currency: str | None) -> dict[str, Any]:
    if total is None:
        return {"total_tokens": None, "total_cost": None, "currency": None}
    cost = None if total.cost is None or currency is None else total.cost / COST_UNITS
    return {
        "total_tokens": total.total_tokens,
        "total_cost": cost,
        "currency": None if cost is None else currency,
    }


async def with_levels(
    call: Call, spans: Sequence[AgentSpan], views: Sequence[AgentSpanView]
) -> Sequence[AgentSpanView]:
    """Return spans with their own scores and levels."""
    places = [await _place(call, span) for span in spans]
    scores = await call.services.reader.risks.for_spans(call.principal.account_id, places)
    return [
        view
        if scored is None
        else msgspec.structs.replace(view, risk_score=scored.score, risk_level=scored.level)
        for view, scored in zip(views, scores, strict=True)
    ]


async def _place(call: Call, span: AgentSpan) -> SpanRef:
    run = await call.services.span_preparer.run(
        call.principal, span.agent_instance_id, call.pending
    )
    version = "" if run is None else run.schema_version_id
    return SpanRef(span.agent_id, version, span.schema_name)


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
        input_cost=cost.input_cost,
        output_cost=cost.output_cost,
        currency=cost.currency,
        by_model=[ModelCostView(**one._asdict()) for one in cost.by_model],
        groups=[
            CostGroupView(
                model=one.model,
                spans=one.spans,
                input_tokens=one.prompt_tokens,
                output_tokens=one.completion_tokens,
                input_cost=one.input_cost,
                output_cost=one.output_cost,
                total_cost=one.cost,
            )
            for one in cost.by_model
        ],
        unpriced_spans=cost.unpriced_spans,
    )
