"""How an agent's risk rollups are answered."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from prefactor_server.api.operation import Call
from prefactor_server.domain.risk_rollup import RiskRollup


class RiskRollupView(msgspec.Struct, frozen=True, kw_only=True):
    """A rollup. Counts are of span types if it is theoretical, of spans if it is observed."""

    data_categories: list[str]
    span_types_with_risk_data: int
    span_types_without_risk_data: int
    classification_counts: Mapping[str, int]
    external_communication_count: int
    highest_classification: str
    total: int


async def risk_rollups(call: Call, agent_id: str) -> tuple[RiskRollupView, RiskRollupView]:
    """The theoretical and the observed rollup of an agent, as far as the caller may see."""
    principal = call.principal
    environment = principal.environment_id or call.query.get("environment_id")
    theoretical, observed = await call.services.reader.risks.rollups(
        principal.account_id, agent_id, environment
    )
    return _view(theoretical), _view(observed)


def _view(rollup: RiskRollup) -> RiskRollupView:
    return RiskRollupView(
        data_categories=list(rollup.data_categories),
        span_types_with_risk_data=rollup.span_types_with_risk_data,
        span_types_without_risk_data=rollup.span_types_without_risk_data,
        classification_counts={str(one): n for one, n in rollup.classification_counts.items()},
        external_communication_count=rollup.external_communication_count,
        highest_classification=rollup.highest_classification,
        total=rollup.total,
    )
