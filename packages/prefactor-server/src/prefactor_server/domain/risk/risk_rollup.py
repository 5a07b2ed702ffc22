"""Rollups: the combined risk of an agent's span types.

The theoretical rollup counts each type that the agent's current versions declare, once. The
observed one counts each recorded span.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from prefactor_server.domain.risk.risk_score import (
    ACTIONS,
    CATEGORIES,
    CLASSIFICATIONS,
    NOTHING_DECLARED,
    Action,
    Category,
    Classification,
    DataRisk,
    Weights,
    highest,
    type_risk,
)


class RecordedType(NamedTuple):
    """The number of recorded spans of one type of a schema version."""

    schema_version_id: str
    schema_name: str
    spans: int


class AgentTypes(NamedTuple):
    """The current schema versions of an agent, and its recorded span types."""

    current: Sequence[str]
    recorded: Sequence[RecordedType]


class RiskRollup(NamedTuple):
    """Counts of span types in a theoretical rollup, or of spans in an observed one."""

    data_categories: tuple[Category, ...]
    span_types_with_risk_data: int
    span_types_without_risk_data: int
    classification_counts: Mapping[Classification, int]
    external_communication_count: int
    highest_classification: Classification
    total: int


class AssessedRisk(NamedTuple):
    """The risk of some span types, and the highest score of a single span.

    ``assessed_span_types`` counts those with a declaration. ``max_score`` is None if the agent has
    no profile.
    """

    assessed_span_types: tuple[str, ...]
    all_data_categories: tuple[Category, ...]
    all_actions: tuple[Action, ...]
    max_score: float | None


class Rollups(NamedTuple):
    """The rollups and assessments of an agent's declarations and of its recorded spans."""

    theoretical: RiskRollup
    observed: RiskRollup
    theoretical_risk: AssessedRisk
    observed_risk: AssessedRisk


def assess(types: Collection[tuple[str, DataRisk]], weights: Weights | None) -> AssessedRisk:
    """Assess span types, each once regardless of its number of spans."""
    risks = [risk for _, risk in types]
    scores = [] if weights is None else [type_risk(*one, weights).score for one in types]
    return AssessedRisk(
        tuple(sorted({name for name, risk in types if risk != NOTHING_DECLARED})),
        tuple(one for one in CATEGORIES if any(one in risk.categories for risk in risks)),
        tuple(one for one in ACTIONS if any(one in risk.actions for risk in risks)),
        None if weights is None else max(scores, default=0),
    )


def roll_up(uses: Iterable[tuple[DataRisk, int]]) -> RiskRollup:
    """Return the rollup of span types, each multiplied by its count."""
    listed = list(uses)
    declared = [risk for risk, _ in listed]
    with_data = sum(risk != NOTHING_DECLARED for risk in declared)
    return RiskRollup(
        data_categories=tuple(
            one for one in CATEGORIES if any(one in risk.categories for risk in declared)
        ),
        span_types_with_risk_data=with_data,
        span_types_without_risk_data=len(listed) - with_data,
        classification_counts={
            one: sum(number for risk, number in listed if risk.classification == one)
            for one in CLASSIFICATIONS
        },
        external_communication_count=sum(
            number for risk, number in listed if "external_communication" in risk.actions
        ),
        highest_classification=highest(risk.classification for risk in declared),
        total=sum(number for _, number in listed),
    )
