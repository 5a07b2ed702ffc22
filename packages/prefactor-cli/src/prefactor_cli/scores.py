"""Compares the scores of runs between versions: the pure part, without requests."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class VersionScores:
    """The scores of the runs of one version, and the number of its runs without a score."""

    version: str
    scores: Sequence[float]
    unscored: int = 0

    @property
    def mean(self) -> float:
        """The mean score."""
        return statistics.fmean(self.scores)

    @property
    def error(self) -> float | None:
        """The standard error of the mean; None for a single score."""
        if len(self.scores) < 2:  # noqa: PLR2004 - a deviation needs two values
            return None
        return statistics.stdev(self.scores) / math.sqrt(len(self.scores))

    def as_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        some = bool(self.scores)
        return {
            "version": self.version,
            "scored_runs": len(self.scores),
            "unscored_runs": self.unscored,
            "mean": self.mean if some else None,
            "standard_error": self.error,
            "min": min(self.scores) if some else None,
            "max": max(self.scores) if some else None,
        }


def score_of(payload: Mapping[str, Any] | None, field: str) -> float | None:
    """Return the score in a payload: a number, or a truth value as 1 or 0; None without one."""
    value = (payload or {}).get(field)
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return float(value)
    return None


def verdict(
    before: VersionScores, after: VersionScores, below: float | None, drop: float | None
) -> str | None:
    """Return why the later version fails, or None if it passes.

    Args:
        before: The scores of the earlier version.
        after: The scores of the later one.
        below: The lowest mean that passes.
        drop: How much lower its mean may be than that of the earlier version.
    """
    missing = next((each for each in (before, after) if not each.scores), None)
    if missing is not None:
        return f"no run of version {missing.version!r} has a score"
    if below is not None and after.mean < below:
        return f"the mean score of version {after.version!r} is {after.mean:.4g}, below {below:g}"
    if drop is not None and before.mean - after.mean > drop:
        return (
            f"the mean score fell by {before.mean - after.mean:.4g} from version "
            f"{before.version!r} to {after.version!r}, more than {drop:g}"
        )
    return None
