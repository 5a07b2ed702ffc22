"""The views of an agent's risk rollups."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from prefactor_server.api.kernel.operation import Call
from prefactor_server.domain.risk.risk_rollup import AssessedRisk, RiskRollup, Rollups


class RiskRollupView(msgspec.Struct, frozen=True, kw_only=True):
    """A rollup. A theoretical one counts span types, an observed one spans."""

    data_categories: list[str]
    span_types_with_risk_data: int
    span_types_without_risk_data: int
    classification_counts: Mapping[str, int]
    external_communication_count: int
    highest_classification: str
    total: int


class AssessedRiskView(msgspec.Struct, frozen=True, kw_only=True):
    """The risk of some span types; ``max_score`` is the highest score of a single span.

    It is null if the agent has no risk profile.
    """

    assessed_span_types: list[str]
    all_data_categories: list[str]
    all_actions: list[str]
    max_score: float | None


class RiskRollupsView(msgspec.Struct, frozen=True, kw_only=True):
    """The risk that an agent's runs recorded, and the risk that its current versions declare."""

    observed_risk: AssessedRiskView
    theoretical_risk: AssessedRiskView


async def risk_rollups(call: Call, agent_id: str) -> Rollups:
    """Return the rollups of an agent, as far as the caller may see."""
    principal = call.principal
    environment = principal.environment_id or call.query.get("environment_id")
    return await call.services.reader.risks.rollups(principal.account_id, agent_id, environment)


def risk_rollups_view(rollups: Rollups) -> RiskRollupsView:
    """Return the view of an assessment."""
    return RiskRollupsView(
        observed_risk=_assessed(rollups.observed_risk),
        theoretical_risk=_assessed(rollups.theoretical_risk),
    )


def _assessed(risk: AssessedRisk) -> AssessedRiskView:
    return AssessedRiskView(
        assessed_span_types=list(risk.assessed_span_types),
        all_data_categories=list(risk.all_data_categories),
        all_actions=list(risk.all_actions),
        max_score=risk.max_score,
    )


def risk_rollup_view(rollup: RiskRollup) -> RiskRollupView:
    """Return the view of a rollup."""
    return RiskRollupView(
        data_categories=list(rollup.data_categories),
        span_types_with_risk_data=rollup.span_types_with_risk_data,
        span_types_without_risk_data=rollup.span_types_without_risk_data,
        classification_counts={str(one): n for one, n in rollup.classification_counts.items()},
        external_communication_count=rollup.external_communication_count,
        highest_classification=rollup.highest_classification,
        total=rollup.total,
    )
