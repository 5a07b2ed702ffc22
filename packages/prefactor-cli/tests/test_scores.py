"""Scores of two versions are compared, and a missing score never passes."""

from typing import Any

import pytest

from prefactor_cli.scores import VersionScores, score_of, verdict


def scored(*scores: float, version: str = "v") -> VersionScores:
    """Scores of a version."""
    return VersionScores(version, scores)


@pytest.mark.parametrize(
    ("payload", "score"),
    [
        ({"score": 0.5}, 0.5),
        ({"score": 3}, 3.0),
        ({"score": True}, 1.0),
        ({"score": False}, 0.0),
        ({"score": "0.5"}, None),
        ({"score": None}, None),
        ({"score": float("nan")}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_score_is_a_number_or_a_boolean(payload: Any, score: float | None) -> None:
    """A score is a number or a boolean, and any other value counts as no score."""
    assert score_of(payload, "score") == score


@pytest.mark.parametrize(
    ("before", "after", "below", "drop", "fails"),
    [
        (scored(0.5), scored(0.4), None, None, False),
        (scored(0.5), scored(0.4), 0.4, None, False),
        (scored(0.5), scored(0.4), 0.41, None, True),
        (scored(0.5, 0.7), scored(0.5), None, 0.2, False),
        (scored(0.5, 0.7), scored(0.3), None, 0.2, True),
        (scored(0.5), scored(0.9), 0.8, 0.0, False),
        (scored(), scored(0.9), None, None, True),
        (scored(0.9), scored(), 0.1, None, True),
    ],
)
def test_a_version_passes_or_fails(
    before: VersionScores,
    after: VersionScores,
    below: float | None,
    drop: float | None,
    fails: bool,
) -> None:
    """The later version fails below the bound, after too large a drop, and without any score."""
    assert (verdict(before, after, below, drop) is not None) == fails


def test_the_spread_takes_two_scores() -> None:
    """The standard error of the mean is unknown for a single score."""
    assert scored(1).error is None
    assert scored(1, 3).error == pytest.approx(1.0)
    assert scored().as_json()["mean"] is None
