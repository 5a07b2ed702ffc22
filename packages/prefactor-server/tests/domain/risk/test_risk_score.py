"""The risk formula: what counts, how it adds up, and that more risk never scores less."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.risk.risk_score import (
    ACTIONS,
    CATEGORIES,
    CLASSIFICATIONS,
    LEVELS,
    MAX_MULTIPLIER,
    MAX_WEIGHT,
    NOTHING_DECLARED,
    DataRisk,
    Weights,
    exceeds,
    highest,
    level_of,
    read_data_risk,
    run_risk,
    type_risk,
)

EXAMPLE = Weights(
    {"personal_identifiers": 8, "contact_information": 4, "minors_data": 5}, {}, (0, 40, 50)
)

DECLARED = st.builds(
    DataRisk,
    st.frozensets(st.sampled_from(ACTIONS)),
    st.frozensets(st.sampled_from(CATEGORIES)),
    st.sampled_from(CLASSIFICATIONS),
)
WEIGHTS = st.builds(
    Weights,
    st.dictionaries(st.sampled_from(CATEGORIES), st.floats(0, MAX_WEIGHT)),
    st.dictionaries(st.sampled_from(ACTIONS), st.floats(1, MAX_MULTIPLIER)),
    st.lists(st.floats(0, 1e6), min_size=3, max_size=3, unique=True).map(
        lambda bounds: tuple(sorted(bounds))
    ),
)
COUNTS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**6))


def test_the_documented_example() -> None:
    """Categories of 8 and 4 make 12, three such spans make 36, and another type's 5 makes 41."""
    declared = {
        "crm": DataRisk(frozenset(), frozenset({"personal_identifiers", "contact_information"})),
        "school": DataRisk(frozenset({"read_data"}), frozenset({"minors_data"})),
    }

    found = run_risk({"crm": 3, "school": 1}, declared, EXAMPLE)

    assert [(one.schema_name, one.span_score, one.score) for one in found.types] == [
        ("crm", 12, 36),
        ("school", 5, 5),
    ]
    assert (found.score, found.level) == (41, "high")


def test_of_several_actions_the_largest_multiplier_counts() -> None:
    """A type that may read and destroy weighs as much as one that may destroy."""
    weights = EXAMPLE._replace(actions={"read_data": 1.5, "destroy_data": 4})
    declared = DataRisk(frozenset({"read_data", "destroy_data"}), frozenset({"minors_data"}))

    found = type_risk("t", declared, weights)

    assert (found.multiplier, found.score) == (4, 20)
    assert found.actions == {"read_data": 1.5, "destroy_data": 4}


def test_disabled_and_undeclared_weights_add_nothing() -> None:
    """A category without a weight and an undeclared type score nothing."""
    declared = {"t": DataRisk(frozenset(ACTIONS), frozenset({"health_and_medical"}))}

    found = run_risk({"t": 5, "unheard-of": 7}, declared, EXAMPLE)

    assert (found.score, found.level) == (0, "low")


@given(DECLARED, WEIGHTS, COUNTS)
def test_a_score_is_never_negative(declared: DataRisk, weights: Weights, counts: Any) -> None:
    """Whatever is declared and weighed, no part of a score is below zero."""
    found = run_risk(counts, dict.fromkeys("ab", declared), weights)

    assert found.score >= 0
    assert all(one.score >= 0 and one.multiplier >= 1 for one in found.types)


@given(DECLARED, DECLARED, WEIGHTS, COUNTS)
def test_more_is_never_less(
    declared: DataRisk, added: DataRisk, weights: Weights, counts: Any
) -> None:
    """More actions, more categories or one more span never lower a score or a level."""
    less = run_risk(counts, dict.fromkeys("ab", declared), weights)
    actions = declared._replace(actions=declared.actions | added.actions)
    categories = declared._replace(categories=declared.categories | added.categories)
    for grown in (
        run_risk(counts, dict.fromkeys("ab", actions), weights),
        run_risk(counts, dict.fromkeys("ab", categories), weights),
        run_risk({**counts, "a": counts.get("a", 0) + 1}, dict.fromkeys("ab", declared), weights),
    ):
        assert grown.score >= less.score
        assert LEVELS.index(grown.level) >= LEVELS.index(less.level)


@pytest.mark.parametrize(
    ("score", "level"),
    [(0, "low"), (0.1, "medium"), (40, "medium"), (40.1, "high"), (50, "high"), (51, "critical")],
)
def test_a_level_begins_above_its_threshold(score: float, level: str) -> None:
    """A score at a threshold still has the level below it."""
    assert level_of(score, EXAMPLE) == level


def test_levels_above_an_agreement() -> None:
    """A level exceeds a lower agreed level; without an agreement only critical does."""
    assert [exceeds(level, "medium") for level in LEVELS] == [False, False, True, True]
    assert [exceeds(level, "critical") for level in LEVELS] == [False] * 4
    assert [exceeds(level, None) for level in LEVELS] == [False, False, False, True]


def test_a_declaration_is_read() -> None:
    """A declaration's allowed actions, categories and highest classification are read."""
    found = read_data_risk(
        {
            "action_profile": {"read_data": "allowed", "destroy_data": "disallowed"},
            "params_data_categories": {"minors_data": "included", "classification": "internal"},
            "result_data_categories": {
                "minors_data": "included",
                "criminal_justice": "excluded",
                "classification": "secret",
            },
        }
    )

    assert found == DataRisk(frozenset({"read_data"}), frozenset({"minors_data"}), "secret")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.dictionaries(
        st.sampled_from(["action_profile", "params_data_categories", "result_data_categories"]),
        JSON | st.dictionaries(st.sampled_from([*ACTIONS, *CATEGORIES, "classification"]), JSON),
    )
    | JSON
)
def test_a_malformed_declaration_is_unknown(declared: Any) -> None:
    """A malformed declaration neither raises nor counts for more than it declares."""
    assert read_data_risk(declared) == NOTHING_DECLARED


def test_the_highest_classification() -> None:
    """The most confidential classification wins, and no classification is unknown."""
    assert highest(["public", "restricted", "unknown", None, "odd"]) == "restricted"
    assert highest([]) == "unknown"
