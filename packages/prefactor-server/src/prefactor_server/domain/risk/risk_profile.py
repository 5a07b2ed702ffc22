"""A risk profile: how an account weighs data and actions, assigned to agents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from prefactor_server.domain.errors import FieldError, FieldErrors, NotFound, ValidationFailed
from prefactor_server.domain.risk.risk_score import ACTIONS, CATEGORIES, RiskLevel, Weights

THRESHOLDS: Final = ("medium", "high", "critical")
DEFAULT_THRESHOLDS: Final[Mapping[str, float]] = {"medium": 0, "high": 50, "critical": 100}


class Ruleset(NamedTuple):
    """The numbers of a profile."""

    category_weights: Mapping[str, float]
    action_multipliers: Mapping[str, float]
    thresholds: Mapping[str, float]


DEFAULT_TEMPLATE: Final = Ruleset(
    category_weights={
        "personal_identifiers": 5,
        "contact_information": 3,
        "financial_information": 7,
        "health_and_medical": 8,
        "criminal_justice": 8,
        "authentication_and_secrets": 10,
        "organisational_confidential": 6,
        "minors_data": 9,
        "location_and_tracking": 5,
        "behavioural_and_inferred": 4,
        "gdpr_racial_or_ethnic_origin": 9,
        "gdpr_political_opinions": 9,
        "gdpr_religious_or_philosophical_beliefs": 9,
        "gdpr_trade_union_membership": 8,
        "gdpr_genetic_data": 10,
        "gdpr_biometric_for_identification": 10,
        "gdpr_sex_life_or_sexual_orientation": 10,
    },
    action_multipliers={
        "create_data": 1.5,
        "read_data": 1,
        "update_data": 1.5,
        "destroy_data": 3,
        "financial_transactions": 3,
        "external_communication": 2,
    },
    thresholds=DEFAULT_THRESHOLDS,
)
"""A template to start from, in which special categories of personal data weigh most."""

TEMPLATES: Final[Mapping[str, Ruleset]] = {"default": DEFAULT_TEMPLATE}


class RiskProfile(NamedTuple):
    """One profile. Weights, multipliers and thresholds are JSON, by name.

    A deleted profile keeps its row, so that rows that refer to it need no change.
    """

    id: str
    account_id: str
    formula: int
    inserted_at: int
    name: str
    description: str | None
    category_weights: str
    action_multipliers: str
    thresholds: str
    agreed_risk: RiskLevel | None
    deleted_at: int | None
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    def weights(self) -> Weights:
        """Return the weights that scores are computed with."""
        weights: dict[str, Any] = json.loads(self.category_weights)
        multipliers: dict[str, float] = json.loads(self.action_multipliers)
        bounds: dict[str, float] = json.loads(self.thresholds)
        return Weights(
            categories={
                one: weights[one]["weight"] for one in CATEGORIES if weights[one]["included"]
            },
            actions={one: multipliers[one] for one in ACTIONS},
            thresholds=(bounds["medium"], bounds["high"], bounds["critical"]),
        )


def require_profile(profile: RiskProfile | None, profile_id: str) -> RiskProfile:
    """Return the profile, which must exist.

    Raises:
        NotFound: it is missing or deleted.
    """
    if profile is None or profile.deleted_at is not None:
        raise NotFound(f"Risk profile {profile_id!r} not found")
    return profile


def weights_document(weights: Mapping[str, tuple[float, bool]]) -> str:
    """Return the weights of all categories in their stored form. A missing one is 0.

    Raises:
        ValidationFailed: there is an unknown category.
    """
    _check_names("category_weights", weights, CATEGORIES)
    complete = {one: weights.get(one, (0, True)) for one in CATEGORIES}
    return json.dumps({one: {"weight": w, "included": on} for one, (w, on) in complete.items()})


def multipliers_document(multipliers: Mapping[str, float]) -> str:
    """Return the multipliers of all actions in their stored form. A missing one is 1.

    Raises:
        ValidationFailed: there is an unknown action.
    """
    _check_names("action_multipliers", multipliers, ACTIONS)
    return json.dumps({one: multipliers.get(one, 1) for one in ACTIONS})


def thresholds_document(thresholds: Mapping[str, float]) -> str:
    """Return the three thresholds in their stored form, completed by the defaults.

    Raises:
        ValidationFailed: there is an unknown threshold, or they are not ascending.
    """
    _check_names("thresholds", thresholds, THRESHOLDS)
    complete = {one: thresholds.get(one, DEFAULT_THRESHOLDS[one]) for one in THRESHOLDS}
    if not complete["medium"] < complete["high"] < complete["critical"]:
        shown = ", ".join(f"{name} {bound}" for name, bound in complete.items())
        problem = FieldError("invalid_value", f"must ascend from medium to critical, got {shown}")
        raise ValidationFailed({"thresholds": problem})
    return json.dumps(complete)


def _check_names(field: str, values: Mapping[str, object], known: tuple[str, ...]) -> None:
    unknown = FieldError("invalid_value", f"must be one of {', '.join(known)}")
    errors: FieldErrors = {name: unknown for name in values if name not in known}
    if errors:
        raise ValidationFailed({field: errors})
