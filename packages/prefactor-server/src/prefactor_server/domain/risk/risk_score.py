"""Risk: the declarations of span types, and their score by a profile.

    a span type's score = sum of the weights of its data categories
                          × the largest multiplier among the actions it is allowed (1 if none)
    a run's score       = Σ over its span types: score × number of spans

A category counts once, whether it is in the parameters, the result or both. Multipliers are at
least 1, so that another category, action or span never lowers a score. This is formula 1; each
profile stores the number of its formula.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias, cast, get_args

RiskLevel: TypeAlias = Literal["low", "medium", "high", "critical"]
Action: TypeAlias = Literal[
    "create_data",
    "read_data",
    "update_data",
    "destroy_data",
    "financial_transactions",
    "external_communication",
]
Category: TypeAlias = Literal[
    "personal_identifiers",
    "contact_information",
    "financial_information",
    "health_and_medical",
    "criminal_justice",
    "authentication_and_secrets",
    "organisational_confidential",
    "minors_data",
    "location_and_tracking",
    "behavioural_and_inferred",
    "gdpr_racial_or_ethnic_origin",
    "gdpr_political_opinions",
    "gdpr_religious_or_philosophical_beliefs",
    "gdpr_trade_union_membership",
    "gdpr_genetic_data",
    "gdpr_biometric_for_identification",
    "gdpr_sex_life_or_sexual_orientation",
]
Classification: TypeAlias = Literal[
    "unknown", "public", "internal", "confidential", "restricted", "secret"
]

LEVELS: Final[tuple[RiskLevel, ...]] = get_args(RiskLevel)
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
CLASSIFICATIONS: Final[tuple[Classification, ...]] = get_args(Classification)
"""From the least to the most confidential; unknown comes first."""

FORMULA: Final = 1
MAX_WEIGHT: Final = 10
MAX_MULTIPLIER: Final = 100
_DIGITS: Final = 6


class DataRisk(NamedTuple):
    """The declaration of a span type: its actions and its data."""

    actions: frozenset[Action] = frozenset()
    categories: frozenset[Category] = frozenset()
    classification: Classification = "unknown"


class Weights(NamedTuple):
    """The weights of a profile.

    ``categories`` contains the enabled weights. A missing multiplier is 1. A score must exceed
    ``thresholds`` to be medium, high and critical.
    """

    categories: Mapping[Category, float]
    actions: Mapping[Action, float]
    thresholds: tuple[float, float, float]


class TypeRisk(NamedTuple):
    """The contribution of one span type to the score of a run."""

    schema_name: str
    spans: int
    categories: Mapping[Category, float]
    actions: Mapping[Action, float]
    multiplier: float
    span_score: float
    score: float


class RunRisk(NamedTuple):
    """The score of a run, its level, and its composition."""

    score: float
    level: RiskLevel
    types: tuple[TypeRisk, ...]


NOTHING_DECLARED: Final = DataRisk()


def read_data_risk(declared: object) -> DataRisk:
    """Parse a declaration. Anything invalid in it counts as unknown."""
    declaration = _object(declared)
    allowed = _object(declaration.get("action_profile"))
    sides = [_object(declaration.get(f"{side}_data_categories")) for side in ("params", "result")]
    return DataRisk(
        actions=frozenset(one for one in ACTIONS if allowed.get(one) == "allowed"),
        categories=frozenset(
            one for one in CATEGORIES if any(side.get(one) == "included" for side in sides)
        ),
        classification=highest(side.get("classification") for side in sides),
    )


def highest(classifications: Iterable[object]) -> Classification:
    """Return the most confidential of some classifications. Anything else counts as unknown."""
    known = [one for one in classifications if isinstance(one, str)]
    for one in reversed(CLASSIFICATIONS):
        if one in known:
            return one
    return "unknown"


def type_risk(schema_name: str, declared: DataRisk, weights: Weights, spans: int = 1) -> TypeRisk:
    """Return the contribution of a type's spans to the score of their run."""
    categories: Mapping[Category, float] = {
        one: weights.categories.get(one, 0) for one in CATEGORIES if one in declared.categories
    }
    actions: Mapping[Action, float] = {
        one: weights.actions.get(one, 1) for one in ACTIONS if one in declared.actions
    }
    multiplier = max(actions.values(), default=1)
    score = math.fsum(categories.values()) * multiplier
    return TypeRisk(
        schema_name=schema_name,
        spans=spans,
        categories=categories,
        actions=actions,
        multiplier=multiplier,
        span_score=round(score, _DIGITS),
        score=round(score * spans, _DIGITS),
    )


def run_risk(
    counts: Mapping[str, int], declared: Mapping[str, DataRisk], weights: Weights
) -> RunRisk:
    """Return the risk of a run from its spans per type. Undeclared types add nothing."""
    types = tuple(
        type_risk(name, declared.get(name, NOTHING_DECLARED), weights, spans)
        for name, spans in sorted(counts.items())
    )
    score = round(math.fsum(one.score for one in types), _DIGITS)
    return RunRisk(score, level_of(score, weights), types)


def level_of(score: float, weights: Weights) -> RiskLevel:
    """Return the level of a score: the highest whose threshold it exceeds."""
    passed = sum(score > threshold for threshold in weights.thresholds)
    return LEVELS[passed]


def exceeds(level: RiskLevel, agreed: RiskLevel | None) -> bool:
    """Return whether a level exceeds the agreed one. Without an agreed level, critical does."""
    limit = "high" if agreed is None else agreed
    return LEVELS.index(level) > LEVELS.index(limit)


def _object(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
