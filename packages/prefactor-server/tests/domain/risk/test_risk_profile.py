"""Risk profiles: given values are completed, and impossible ones are refused by name."""

import json
from typing import Any

import pytest
from rows import risk_profile

from prefactor_server.domain.errors import NotFound, ValidationFailed
from prefactor_server.domain.risk.risk_profile import (
    RiskProfile,
    multipliers_document,
    require_profile,
    thresholds_document,
    weights_document,
)
from prefactor_server.domain.risk.risk_score import ACTIONS, CATEGORIES


def profile(**given: Any) -> RiskProfile:
    """A profile with a weight switched on and one switched off."""
    return risk_profile(
        category_weights=weights_document(
            {"minors_data": (5, True), "criminal_justice": (9, False)}
        ),
        action_multipliers=multipliers_document({"destroy_data": 3}),
        thresholds=thresholds_document({"critical": 500}),
        **given,
    )


def test_a_profile_ignores_disabled_weights() -> None:
    """Weights that are switched off are left out, and missing values have their defaults."""
    weights = profile().weights()

    assert weights.categories["minors_data"] == 5
    assert "criminal_justice" not in weights.categories
    assert set(weights.categories.values()) == {0, 5}
    assert weights.actions == {**dict.fromkeys(ACTIONS, 1), "destroy_data": 3}
    assert weights.thresholds == (0, 50, 500)


def test_documents_are_complete() -> None:
    """A stored profile names every category and every action, whatever was given."""
    assert set(json.loads(weights_document({}))) == set(CATEGORIES)
    assert set(json.loads(multipliers_document({}))) == set(ACTIONS)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: weights_document({"odd": (1, True)}), "category_weights"),
        (lambda: multipliers_document({"odd": 1}), "action_multipliers"),
        (lambda: thresholds_document({"low": 1}), "thresholds"),
        (lambda: thresholds_document({"high": 100}), "thresholds"),
        (lambda: thresholds_document({"medium": 60}), "thresholds"),
    ],
)
def test_errors_are_named(make: Any, field: str) -> None:
    """Unknown names and thresholds that do not ascend are refused under their field."""
    with pytest.raises(ValidationFailed) as caught:
        make()

    assert list(caught.value.errors) == [field]


def test_a_deleted_profile_does_not_exist() -> None:
    """A deleted profile counts as if it had never existed."""
    there = profile()

    assert require_profile(there, "p") is there
    for gone in (None, profile(deleted_at=2)):
        with pytest.raises(NotFound, match="'p'"):
            require_profile(gone, "p")
